"""The network of a deployment: where in a VPC its jobs and endpoints run, and how they reach S3 from there."""

"""What a deployment is made of: each AWS resource with read, diff, create, update and delete, by AWS's calls alone."""

"""Batch transform jobs: objects in S3 through a model's containers and back into S3."""

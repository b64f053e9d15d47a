"""What SageMaker does in the caller's account: S3, IAM, CloudWatch. The only importers of boto3."""

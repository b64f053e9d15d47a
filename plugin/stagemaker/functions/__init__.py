"""Lambda functions: the execution environments of LocalStack's own Lambda service."""

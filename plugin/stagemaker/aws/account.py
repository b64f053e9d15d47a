"""What SageMaker does in the caller's account, as one object."""

from stagemaker.aws.iam import Iam
from stagemaker.aws.s3 import S3


class Account(S3, Iam):
    """S3 and IAM over the same clients. Thread-safe."""

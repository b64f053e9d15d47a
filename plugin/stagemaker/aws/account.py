"""What SageMaker does in the caller's account, as one object."""

from stagemaker.aws.alarm_states import AlarmStates
from stagemaker.aws.iam import Iam
from stagemaker.aws.s3 import S3


class Account(S3, Iam, AlarmStates):
    """S3, IAM and CloudWatch's alarms over the same clients. Thread-safe."""

"""What SageMaker does in the caller's account, as one object."""

from stagemaker.aws.alarm_states import AlarmStates
from stagemaker.aws.iam import Iam
from stagemaker.aws.s3 import S3
from stagemaker.aws.sns import Topics


class Account(S3, Iam, AlarmStates, Topics):
    """S3, IAM, CloudWatch's alarms and SNS over the same clients. Thread-safe."""

"""What is asked about a request: one question for each action and resource that IAM decides on."""

from dataclasses import dataclass

from stagemaker.access.request import Context


@dataclass(frozen=True)
class Question:
    """Whether the caller may do `action`, in AWS's spelling, on `resource_arn`, which is `*` for an action without a
    resource. `because` is the operation that asks, such as sagemaker:CreateTrainingJob, which asks for iam:PassRole."""

    action: str
    resource_arn: str
    resource_account: str
    context: Context  # the condition keys of the request and of the caller
    because: str

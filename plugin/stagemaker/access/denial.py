"""The answer to a caller who may not: AWS's code, status and sentence of each service. Pure.

Sources: "Troubleshoot access denied error messages" of the IAM user guide,
https://docs.aws.amazon.com/IAM/latest/UserGuide/troubleshoot_access-denied.html; the codes are those of the services'
own lists of common errors.
"""

from collections.abc import Mapping

from stagemaker.access.evaluate import Decision, Outcome, Source
from stagemaker.access.questions import Question
from stagemaker.access.request import Principal
from stagemaker.core.errors import ApiError, hinted

_EXCEPTION = "AccessDeniedException"
# Code and status by the service's prefix in IAM; AccessDeniedException and 400 for the others, whose protocol is JSON.
_ERRORS: Mapping[str, tuple[str, int]] = {
    **dict.fromkeys(
        ("s3", "iam", "sts", "cloudwatch", "cloudformation", "autoscaling", "rds", "elasticache", "sqs", "route53"),
        ("AccessDenied", 403),
    ),
    **dict.fromkeys(
        ("lambda", "apigateway", "scheduler", "pipes", "batch", "eks", "elasticfilesystem", "es", "xray"),
        (_EXCEPTION, 403),
    ),
    "sns": ("AuthorizationError", 403),
    "ec2": ("UnauthorizedOperation", 403),
}
_REST = ("sagemaker:InvokeEndpoint",)  # REST operations of a service whose others are JSON
_NAMES: Mapping[Source, tuple[str, str]] = {  # with its article in "explicit deny in", and as AWS's "no ... allows"
    Source.IDENTITY: ("an identity-based policy", "identity-based policy"),
    Source.BOUNDARY: ("a permissions boundary", "permissions boundary"),
    Source.SESSION: ("a session policy", "session policy"),
    Source.RESOURCE: ("a resource-based policy", "resource-based policy"),
    Source.TRUST: ("a resource-based policy", "resource-based policy"),  # (a trust policy is one)
    Source.ENDPOINT: ("a VPC endpoint policy", "VPC endpoint policy"),
}
# Which of several missing policies AWS names (ours: AWS documents no order).
_ORDER = (Source.IDENTITY, Source.RESOURCE, Source.BOUNDARY, Source.SESSION, Source.ENDPOINT)


def access_denied(principal: Principal, question: Question, decision: Decision) -> ApiError:
    """The refusal of a question, for the protocol of the operation that asks it."""
    code, status = _error(question.because)
    return ApiError(code, sentence(principal, question, decision), status)


def unknown_action(principal: Principal, action: str, because: str) -> ApiError:
    """The refusal of an operation that AWS's list of actions does not have (ours)."""
    code, status = _error(because)
    message = f"User: {principal.arn} is not authorized to perform: {action} on resource: *"
    advice = "AWS's list of actions does not have this one, so only the root user of an account may do it."
    return ApiError(code, hinted(message, advice), status)


def sentence(principal: Principal, question: Question, decision: Decision) -> str:
    """Who may not do what, and which policy is the reason."""
    action, arn = question.action, question.resource_arn
    if principal.is_root and action == "sts:AssumeRole":
        return "Roles may not be assumed by root accounts."
    if question.because.startswith("s3:"):
        if principal.account != question.resource_account:
            return "Access Denied"  # S3 tells other accounts and anonymous callers no more
        arn = f'"{arn}"'
    return f"User: {principal.arn} is not authorized to perform: {action} on resource: {arn}{_reason(action, decision)}"


def _reason(action: str, decision: Decision) -> str:
    if decision.outcome is Outcome.EXPLICIT_DENY:
        return f" with an explicit deny in {_NAMES[decision.matches[0].source][0]}"
    source = next((one for one in _ORDER if one in decision.lacking), None)
    if source is None or Source.TRUST in decision.lacking:  # AssumeRole gives no reason
        return ""
    return f" because no {_NAMES[source][1]} allows the {action} action"


def _error(because: str) -> tuple[str, int]:
    if because.startswith(_REST):
        return _EXCEPTION, 403
    return _ERRORS.get(because.partition(":")[0], (_EXCEPTION, 400))

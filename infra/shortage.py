"""What AWS has not enough of: the account's quota, or machines of a type. Its refusal becomes an error that names the
quota by its code, and the instance types to try instead.

Pure. A service refuses a call with these words, or puts them into a FailureReason.
"""

import re

from botocore.exceptions import ClientError

from infra import instance_types, quotas
from infra.errors import StepFailed

_QUOTA = re.compile(r"service limit '(?P<name>[^']+)'")
_NO_CAPACITY = "Unable to provision requested ML compute capacity"  # begins CapacityError's and endpoints' reasons


def of_refusal(error: ClientError, instance_type: str, region: str) -> StepFailed | None:
    """What to raise for a call with this instance type that AWS refused for want of a quota; None for another cause."""
    if error.response["Error"]["Code"] != "ResourceLimitExceeded":
        return None
    message = error.response["Error"]["Message"]
    found = _QUOTA.search(message)
    name = found["name"] if found else ""
    code = quotas.CODES.get(name, "")
    how = quotas.request_command(quotas.Need("sagemaker", name, 1, "instances", ""), region, code) if name else ""
    return StepFailed(
        f"A quota of the account is used up{f', {name} ({code})' if code else ''}: {message}",
        f"Ask AWS for more, which may take days{_or_try(instance_type)}.",
        (how,) if how else (),
    )


def of_failure(reason: str, instance_type: str) -> StepFailed | None:
    """What to raise for a job or an endpoint that failed for this FailureReason, for want of machines; None for another
    cause."""
    if _NO_CAPACITY not in reason:
        return None
    return StepFailed(
        f"AWS has no {instance_type} to give now: {reason}", f"Deploy again later{_or_try(instance_type)}."
    )


def _or_try(instance_type: str) -> str:
    """The types that would do, for the end of a sentence."""
    others = instance_types.next_types(instance_type)
    return f", or set instance_type to one that holds as much: {', '.join(others)}" if others else ""

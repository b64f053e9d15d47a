"""Idempotent pairs: `ensure_*` looks up, creates or updates and says which; `destroy_*` deletes what is there."""

from typing import Literal

from botocore.exceptions import ClientError

Change = Literal["created", "updated", "unchanged"]
CREATED: Change = "created"
UPDATED: Change = "updated"
UNCHANGED: Change = "unchanged"


def error_code(error: ClientError) -> str:
    """AWS's code; S3 gives a bare HTTP status as one when an answer has no body."""
    return str(error.response["Error"]["Code"])


def is_missing(error: ClientError) -> bool:
    """Whether AWS says that the thing is not there.

    SageMaker's Describe and Delete say so by ValidationException, which has no other cause where the only argument is
    a valid name, as the plan's are."""
    return error_code(error) in _MISSING


_MISSING = {
    "404",
    "NoSuchBucket",
    "NoSuchKey",
    "NoSuchEntity",
    "NoSuchPublicAccessBlockConfiguration",
    "RepositoryNotFoundException",
    "ResourceNotFound",
    "ResourceNotFoundException",
    "ValidationException",
}

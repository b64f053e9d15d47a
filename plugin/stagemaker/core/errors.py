"""The one exception that operations raise: what AWS would answer."""

from collections.abc import Mapping
from typing import Any

ACCESS_DENIED = "AccessDenied"
HINT = "Stagemaker: "  # begins what the stage adds to AWS's sentences


def hinted(message: str, advice: str) -> str:
    """A message for AWS's callers: `message`, a sentence as AWS has it or could have it, and behind it what to do on
    this stage, which a caller can tell apart by HINT. Neither names a command of this repository."""
    return f"{message} {HINT}{advice}"


class ApiError(Exception):
    """An AWS error answer: `code` and `message` as the caller sees them, `status` the HTTP status.

    `members` are the extra members of a modelled error shape, such as ModelError's `OriginalStatusCode`.
    """

    def __init__(self, code: str, message: str, status: int = 400, members: Mapping[str, Any] | None = None) -> None:
        super().__init__(f"{code}: {message}")
        self.code = code
        self.message = message
        self.status = status
        self.members = dict(members or {})


class RoleRefused(ApiError):
    """A role that SageMaker cannot assume, in the words that AWS has for jobs."""

    def __init__(self, role_arn: str) -> None:
        super().__init__(
            "ValidationException",
            f"Could not assume role {role_arn}. Please ensure that the role exists and allows principal "
            "'sagemaker.amazonaws.com' to assume the role.",
        )


def validation_error(message: str) -> ApiError:
    """SageMaker's answer to a request that breaks a rule of the API."""
    return ApiError("ValidationException", message)


def access_denied(message: str) -> ApiError:
    """What another service does not allow to whoever asks it."""
    return ApiError(ACCESS_DENIED, message, 403)


def in_use(message: str) -> ApiError:
    """A name that is already taken, or a resource that is not in a state to be changed."""
    return ApiError("ResourceInUse", message)


def shutting_down() -> ApiError:
    """The answer of every part of the stage to what comes after its end has begun."""
    return ApiError("ServiceUnavailable", "LocalStack is shutting down: try again when it has started anew.", 503)

"""The one exception that operations raise: what AWS would answer."""

from collections.abc import Mapping
from typing import Any


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


def validation_error(message: str) -> ApiError:
    """SageMaker's answer to a request that breaks a rule of the API."""
    return ApiError("ValidationException", message)


def not_found(arn: str) -> ApiError:
    """SageMaker answers a missing resource with ValidationException, naming its ARN."""
    return ApiError("ValidationException", f'Could not find "{arn}".')


def in_use(message: str) -> ApiError:
    """A name that is already taken, or a resource that is not in a state to be changed."""
    return ApiError("ResourceInUse", message)

"""Our errors as LocalStack raises them."""

from typing import Any

from botocore.model import OperationModel
from localstack.aws.api import CommonServiceException

from stagemaker.core.errors import ApiError


class _Zero(int):
    """0, which LocalStack's serializer does not take for a member that is not there: it leaves out what is false."""

    def __bool__(self) -> bool:
        return True


class _Empty(str):
    """The empty text, likewise."""

    __slots__ = ()

    def __bool__(self) -> bool:
        return True


def exception(error: ApiError) -> CommonServiceException:
    """The members of a modelled error are attributes: LocalStack's serializer reads them by the shape of `code`."""
    raised = CommonServiceException(error.code, error.message, error.status, sender_fault=error.status < 500)
    for member, value in error.members.items():
        setattr(raised, member, _kept(value))
    return raised


def beyond_the_model(error: ApiError, operation: OperationModel) -> dict[str, Any]:
    """The members of an error that AWS sends though the model does not have them: LocalStack's serializer leaves them
    out."""
    shape = operation.service_model.shape_for_error_code(error.code)
    known = shape.members if shape else error.members
    return {member: value for member, value in error.members.items() if member not in known}


def _kept(value: Any) -> Any:
    if value == "":
        return _Empty()
    return _Zero() if value == 0 and not isinstance(value, bool) else value

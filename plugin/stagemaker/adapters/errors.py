"""Our errors as LocalStack raises them."""

from localstack.aws.api import CommonServiceException

from stagemaker.core.errors import ApiError


def exception(error: ApiError) -> CommonServiceException:
    """The members of a modelled error are attributes: LocalStack's serializer reads them by the shape of `code`."""
    raised = CommonServiceException(error.code, error.message, error.status, sender_fault=error.status < 500)
    for member, value in error.members.items():
        setattr(raised, member, value)
    return raised

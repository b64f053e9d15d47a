"""LocalStack's CloudFormation acts with the rights of the account, whoever asks. In the mode strict it acts for root
only: a user or a role would else get whatever a template makes."""

from typing import Any

from localstack.aws import handlers
from localstack.aws.api import RequestContext

from stagemaker.adapters.errors import exception
from stagemaker.adapters.identity import caller_of
from stagemaker.api.unsupported import not_supported

_READS = ("Describe", "Detect", "Estimate", "Get", "List", "Validate")


def install() -> None:
    """Have it refuse users and roles, once; their rights are asked about before."""
    handlers.serve_custom_service_request_handlers.append(_refuse)


def _refuse(chain: Any, context: RequestContext, response: Any) -> None:  # noqa: ARG001 - as LocalStack calls it
    service, operation = context.service, context.operation
    if service is None or operation is None or service.service_name != "cloudformation":
        return
    if not operation.name.startswith(_READS) and not caller_of(context).principal.is_root:
        what = f"{operation.name} of CloudFormation in the mode strict for anybody but the root of an account"
        raise exception(not_supported(what))

"""What is settled about a request before its operation is called: its form, signature, region and protocol.

In each of them LocalStack's gateway takes what AWS refuses, or answers it with 500. All is for services of ours only,
but for the regions.
"""

import re
from collections.abc import Callable
from functools import cache
from typing import Any

from botocore.loaders import create_loader
from localstack.aws import handlers
from localstack.aws.api import RequestContext
from localstack.aws.protocol.op_router import RestServiceOperationRouter
from localstack.aws.spec import load_service

from stagemaker.adapters.contents import isolate_objects
from stagemaker.adapters.errors import exception
from stagemaker.api.serialization import check_body, refused
from stagemaker.api.unsupported import not_supported
from stagemaker.app import App
from stagemaker.core.errors import ApiError
from stagemaker.core.refs import partition_of

_INVOCATION = re.compile("/endpoints/[^/]+/(invocations|async-invocations|invocations-response-stream)")
_INJECTED = "Credential=injectedaccesskey/"  # by LocalStack, into a request without a signature


def install() -> None:
    """Have LocalStack's gateway ask us, once; `patches.py` does the rest."""
    handlers.preprocess_request.append(recognise_invocation)
    handlers.run_custom_response_handlers.append(isolate_objects)


def recognise_invocation(chain: Any, context: RequestContext, response: Any) -> None:  # noqa: ARG001 - as it is called
    """Take the unsigned call of an endpoint for one: LocalStack goes by the signature, and answers it with nothing."""
    request = context.request
    unsigned = "Authorization" not in request.headers and not request.query_string
    if context.service is None and unsigned and request.method == "POST" and _INVOCATION.fullmatch(request.path):
        context.service = load_service("sagemaker-runtime")


def check_form(context: RequestContext) -> None:
    """Raise SerializationException for a body that is JSON by its service's protocol, and is not of its operation's
    form. Nothing for other protocols, and for an operation that the model does not have."""
    service, request = context.service, context.request
    name = request.headers.get("X-Amz-Target", "").rpartition(".")[2]
    if (
        service is None
        or context.protocol != "json"
        or "cbor" in request.mimetype
        or name not in service.operation_names
    ):
        return
    context.operation = service.operation_model(name)
    try:
        check_body(request.data, context.operation.input_shape)
    except ApiError as error:
        raise exception(error) from error


def check_caller(context: RequestContext) -> None:
    """Raise what AWS answers to a request without a signature, or for a region that there is not. Before the request is
    parsed: what it asks for may be anything."""
    if _INJECTED in context.request.headers.get("Authorization", ""):
        raise _denied(context, "MissingAuthenticationTokenException", "Missing Authentication Token")
    if context.region not in regions():
        sentence = f"Credential should be scoped to a valid region, not '{context.region}'."
        raise _denied(context, "InvalidSignatureException", sentence)


def unreadable(app: App, context: RequestContext, error: Exception) -> Exception:
    """The answer to a request that LocalStack's parser cannot read, though the model has its operation."""
    service = context.service
    if service is None:
        return error
    if context.operation is None:
        context.operation, _ = RestServiceOperationRouter(service).match(context.request)
    if context.operation.name not in app.services[service.service_name].operations:
        return exception(not_supported(f"the operation {context.operation.name} of {service.service_name}"))
    return exception(refused(str(error)))


def answer_as_json(context: RequestContext) -> None:
    """Have the errors of invocations answered as JSON: Accept and Content-Type speak to the container only."""
    if context.service is not None and context.service.service_name == "sagemaker-runtime":
        context.request.headers["Accept"] = "application/json"


def _denied(context: RequestContext, code: str, message: str) -> Exception:
    service = context.service
    if service is not None:  # the serializer needs an operation
        context.operation = service.operation_model(service.operation_names[0])
    return exception(ApiError(code, message, 403))


def keep_region(app: App, original: Callable[[Any, RequestContext], None]) -> Callable[[Any, RequestContext], None]:
    """In place of LocalStack's rewriter, which makes us-east-1 of all regions outside of the partition `aws`."""

    def apply(self: Any, context: RequestContext) -> None:
        ours = context.service is not None and context.service.service_name in app.services
        if ours or context.region in regions():
            context.partition = partition_of(context.region).name
        else:
            original(self, context)

    return apply


@cache
def regions() -> frozenset[str]:
    """The regions of all partitions of AWS, without `aws-global` and its like, which are none."""
    found = create_loader().load_data("partitions")["partitions"]
    names = (region for partition in found for region in partition["regions"])
    return frozenset(name for name in names if not name.endswith("-global"))

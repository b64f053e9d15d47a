"""Every change that we make to LocalStack while it runs: what it replaces, why, and what happens without it.

They are written for one version, whose source was read for them: another one is refused. Each names the parameters of
what it replaces; `tests/contract/test_patches.py` compares them with the installed LocalStack. Services in LATE
have theirs in modules of their own. One more change comes before LocalStack is imported: `__init__.py` of this folder.
"""

import importlib
import inspect
import io
import logging
import os
import threading
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from types import ModuleType
from typing import Any

from localstack.aws import connect, handlers
from localstack.aws.api import CommonServiceException, RequestContext
from localstack.aws.api.lambda_ import InvocationType, TooManyRequestsException
from localstack.aws.handlers import internal_requests
from localstack.aws.handlers.codec import ContentDecoder
from localstack.aws.handlers.region import DefaultRegionRewriterStrategy
from localstack.aws.handlers.service import ServiceRequestParser
from localstack.services.lambda_ import provider as lambda_provider
from localstack.services.lambda_.invocation import lambda_models
from localstack.services.lambda_.invocation.execution_environment import ExecutionEnvironment
from localstack.services.lambda_.invocation.lambda_models import ImageCode, Invocation, S3Code
from localstack.services.s3 import provider as s3_provider

from stagemaker.adapters import internal_calls
from stagemaker.adapters.contents import inflate
from stagemaker.adapters.errors import exception
from stagemaker.adapters.lambda_executor import StagemakerRuntimeExecutor
from stagemaker.adapters.lambda_images import pin_image
from stagemaker.adapters.requests import answer_as_json, check_caller, check_form, keep_region, unreadable
from stagemaker.adapters.unknown import stand_in, unknown_operation
from stagemaker.api.unsupported import not_supported
from stagemaker.app import App
from stagemaker.core.errors import ApiError
from stagemaker.functions.code import unzip_code
from stagemaker.functions.concurrency import RETRY_AFTER_S
from stagemaker.functions.image_rules import create_refusal
from stagemaker.functions.invoke_rules import client_context, payload_refusal
from stagemaker.functions.retired_versions import RetiredVersions

LOG = logging.getLogger(__name__)
VERSION = "4.14.0"
ANY_VERSION = "STAGEMAKER_ANY_LOCALSTACK"
RETIRED = RetiredVersions()


@dataclass(frozen=True)
class Patch:
    """`owner.name` is replaced by what `make` gives for the App and the original. `parameters` are the original's; None
    for a text or a module."""

    owner: Any
    name: str
    parameters: tuple[str, ...] | None
    make: Callable[[App, Any], Any]
    why: str
    without: str


def _s3_folder(app: App, _original: str) -> str:
    return str(app.settings.work_dir.parent / "s3")


def _create_image_code(app: App, _original: Any) -> Any:
    def create_image_code(image_uri: str) -> ImageCode:
        return pin_image(app.runtime, image_uri, app.ecr.media_type)

    return create_image_code


def _unzip(_app: App, _original: Any) -> Any:
    def unzip(path: str, target_dir: str, overwrite: bool = True) -> None:  # noqa: ARG001 - the folder is new
        unzip_code(path, target_dir)

    return unzip


def _code_location(app: App, original: Any) -> Any:
    def get_unzipped_code_location(self: S3Code) -> Path:
        return app.settings.work_dir / "functions" / str(self.s3_bucket) / str(self.id) / "code"

    return get_unzipped_code_location if app.settings.docker else original


def _release(_app: App, original: Any) -> Any:
    def release(self: ExecutionEnvironment) -> None:
        original(self)
        if self.version_manager_id in RETIRED:
            self.stop()

    return release


def _client_context(_app: App, original: Any) -> Any:
    def invoke(self: ExecutionEnvironment, invocation: Invocation) -> Any:
        waits = invocation.invocation_type == InvocationType.RequestResponse
        if isinstance(self.runtime_executor, StagemakerRuntimeExecutor):
            self.runtime_executor.client_context = invocation.client_context if waits else None
        return original(self, invocation)

    return invoke


def _inflate(_app: App, _original: Any) -> Any:
    def decode(self: ContentDecoder, chain: Any, context: RequestContext, response: Any) -> None:  # noqa: ARG001
        inflate(context)

    return decode


def _parse(app: App, original: Any) -> Any:
    def parse_and_enrich(self: ServiceRequestParser, context: RequestContext) -> None:
        service, request = context.service, context.request
        if service is None or service.service_name not in app.services:
            original(self, context)
            return
        try:
            check_caller(context)
            check_form(context)
            original(self, context)
        except CommonServiceException:
            raise
        except Exception as error:
            name = unknown_operation(service, request.method, request.path, dict(request.headers))
            if name is None:
                raise unreadable(app, context, error) from error
            context.operation = stand_in(service, name)
            raise exception(not_supported(f"the operation {name} of {service.service_name}")) from None
        finally:
            answer_as_json(context)

    return parse_and_enrich


PATCHES: tuple[Patch, ...] = (
    Patch(
        connect,
        "INTERNAL_AWS_SECRET_ACCESS_KEY",
        None,
        internal_calls.secret,
        why="Everybody knows the secret that LocalStack signs with, also the addresses that it gives to others.",
        without="In the mode strict nobody can use them.",
    ),
    Patch(
        S3Code,
        "generate_presigned_url",
        ("self", "endpoint_url"),
        internal_calls.code_address,
        why="The address of a function's code is signed by version 2, with a secret that everybody knows.",
        without="In the mode strict nobody can download the code of a function.",
    ),
    Patch(
        connect,
        "dump_dto",
        ("data",),
        internal_calls.dump,
        why="The header x-localstack-data, which marks a call of LocalStack itself, is the same for everybody.",
        without="What marks LocalStack's own calls is not known for theirs, and they are refused.",
    ),
    Patch(
        internal_requests,
        "load_dto",
        ("data",),
        internal_calls.load,
        why="Whoever sends the header x-localstack-data is taken for LocalStack itself.",
        without="A header gives any caller every right.",
    ),
    Patch(
        s3_provider,
        "DEFAULT_S3_TMP_DIR",
        None,
        _s3_folder,
        why="S3 writes objects into /tmp/localstack-s3-storage, and has no setting for it.",
        without="All stacks of a machine share that folder, and what a killed one wrote stays in it.",
    ),
    Patch(
        lambda_provider,
        "create_image_code",
        ("image_uri",),
        _create_image_code,
        why="CreateFunction and UpdateFunctionCode ask LocalStack's own Docker client what an image URI means.",
        without="Images are pulled from the internet, one that is not there is taken, and CodeSha256 is made up.",
    ),
    Patch(
        lambda_models,
        "unzip",
        ("path", "target_dir", "overwrite"),
        _unzip,
        why="The code of a zip file is unpacked with the mode and the links that its members ask for.",
        without="A function's code can change the mode of any file that LocalStack's user owns.",
    ),
    Patch(
        S3Code,
        "get_unzipped_code_location",
        ("self",),
        _code_location,
        why="A zip file's code is unpacked in the temporary folder; the Docker engine mounts only our state.",
        without="Functions that are zip files do not start in containers where LocalStack runs in one itself.",
    ),
    Patch(
        ExecutionEnvironment,
        "release",
        ("self",),
        _release,
        why="After an invocation an environment waits for the next one, also when its version has gone meanwhile.",
        without="A function that is deleted while it starts stays for ten minutes, and LocalStack cannot end before.",
    ),
    Patch(
        ExecutionEnvironment,
        "invoke",
        ("self", "invocation"),
        _client_context,
        why="What an executor is told of an invocation leaves out the client context.",
        without="A function never sees the ClientContext of its caller.",
    ),
    Patch(
        ContentDecoder,
        "__call__",
        ("self", "chain", "context", "response"),
        _inflate,
        why="A body that is compressed is inflated whole, however long it becomes.",
        without="16 MB of gzip become 16 GB in memory, and end LocalStack.",
    ),
    Patch(
        ServiceRequestParser,
        "parse_and_enrich",
        ("self", "context"),
        _parse,
        why="What the parser cannot read is a failure: an operation that is newer than the models, bad JSON.",
        without="Clients get 500 InternalError for what is only not implemented, or their mistake, and try again.",
    ),
    Patch(
        DefaultRegionRewriterStrategy,
        "apply",
        ("self", "context"),
        keep_region,
        why="A region of another partition than `aws`, and one that there is not, become us-east-1.",
        without="Who works in China or GovCloud, or misspells a region, shares the resources of us-east-1.",
    ),
)

# Services that are patched when they are first asked: the module that has their PATCHES.
LATE = {
    "cloudformation": "stagemaker.adapters.cloudformation_patches",
    "cloudwatch": "stagemaker.adapters.alarms",
    "ec2": "stagemaker.adapters.ec2_patches",
    "lambda": "stagemaker.adapters.lambda_patches",
    "logs": "stagemaker.adapters.log_patches",
    "resourcegroupstaggingapi": "stagemaker.adapters.tagging",
    "s3": "stagemaker.adapters.s3_patches",
    "ssm": "stagemaker.adapters.ssm_patches",
}


def apply(app: App) -> None:
    """Change the LocalStack of this process, once. ValueError when `check_version` refuses it."""
    check_version(metadata.version("localstack-core"), os.environ)
    _replace(app, PATCHES)
    handlers.serve_custom_service_request_handlers.append(lambda_check(app))
    handlers.serve_custom_service_request_handlers.append(late_patches(app))
    handlers.run_custom_response_handlers.append(retry_after)


def _replace(app: App, patches: Iterable[Patch]) -> None:
    for patch in patches:
        setattr(patch.owner, patch.name, patch.make(app, getattr(patch.owner, patch.name)))


def late_patches(app: App) -> Any:
    """A handler that changes a service of LATE before its first request: to import all of it costs seconds."""
    waiting, lock = dict(LATE), threading.Lock()

    def load(chain: Any, context: RequestContext, response: Any) -> None:  # noqa: ARG001 - as LocalStack calls it
        if context.service is not None and context.service.service_name in waiting:
            with lock:
                if module := waiting.get(context.service.service_name):
                    _replace(app, importlib.import_module(module).PATCHES)
                    del waiting[context.service.service_name]

    return load


def mismatch(patch: Patch) -> str | None:
    """Why the patch does not fit the LocalStack that is installed, in one sentence, or None."""
    target = f"{getattr(patch.owner, '__name__', patch.owner)}.{patch.name}"
    found = getattr(patch.owner, patch.name, None)
    if found is None:
        return f"LocalStack has no {target} any more. {patch.without}"
    if patch.parameters is None:
        fits = isinstance(found, str | ModuleType)
        return None if fits else f"{target} is no text any more, but {found!r}. {patch.without}"
    parameters = tuple(inspect.signature(found).parameters)
    if parameters != patch.parameters:
        return f"{target} takes {parameters}, and the patch is for {patch.parameters}. {patch.without}"
    return None


def check_version(installed: str, environment: Mapping[str, str]) -> None:
    """ValueError with one sentence for another version than VERSION, unless ANY_VERSION is set to 1 in `environment`:
    then a warning in the log."""
    if installed == VERSION:
        return
    found = f"This is LocalStack {installed}, and Stagemaker's patches are written for {VERSION}"
    if environment.get(ANY_VERSION) != "1":
        raise ValueError(f"{found}: install localstack-core=={VERSION}, or set {ANY_VERSION}=1 to try this one.")
    LOG.warning("%s: what they replace may have changed.", found)


def lambda_check(app: App) -> Any:
    """A handler that refuses what LocalStack's Lambda service takes and Lambda does not, and everything at our end."""

    def check(chain: Any, context: RequestContext, response: Any) -> None:  # noqa: ARG001 - as LocalStack calls it
        service, operation = context.service, context.operation
        if service is None or operation is None or service.service_name != "lambda":
            return
        try:
            app.supervisor.refuse_when_closing()
            sent: Any = context.service_request or {}
            if operation.name == "CreateFunction" and (refusal := create_refusal(sent)):
                raise ApiError("InvalidParameterValueException", refusal, members={"Type": "User"})
            if operation.name == "Invoke" and (refusal := _invoke_refusal(sent)):
                raise ApiError("InvalidRequestContentException", refusal, members={"Type": "User"})
        except ApiError as error:
            raise exception(error) from error

    return check


def retry_after(chain: Any, context: RequestContext, response: Any) -> None:  # noqa: ARG001 - as LocalStack calls it
    """Have a throttled call of Lambda say when to come again: LocalStack writes no header of an error."""
    if isinstance(context.service_exception, TooManyRequestsException):
        response.headers["Retry-After"] = str(RETRY_AFTER_S)


def _invoke_refusal(sent: dict[str, Any]) -> str | None:
    """Reads the payload, and puts it back unless it is empty."""
    stream = sent.pop("Payload", None)
    payload = stream.read() if stream else b""
    if payload:
        sent["Payload"] = io.BytesIO(payload)
    try:
        if sent.get("ClientContext"):
            client_context(sent["ClientContext"])
    except ValueError as error:
        return str(error)
    return payload_refusal(payload)

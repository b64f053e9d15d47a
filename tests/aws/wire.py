"""What an HTTP request asks of AWS, and AWS's errors as its services write them: by LocalStack's parsers, which read
botocore's models."""

from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs, urlsplit

from localstack.aws.api import CommonServiceException
from localstack.aws.protocol.parser import create_parser
from localstack.aws.protocol.serializer import create_serializer
from localstack.aws.protocol.service_router import match_available_protocols
from localstack.aws.spec import load_service
from localstack.http import Request

_SUFFIXES = (".amazonaws.com", ".amazonaws.com.cn", ".api.aws")
_CLIENT_NAMES = {  # where boto3's name is not the one that a request is signed for
    "monitoring": "cloudwatch",
    "servicequotas": "service-quotas",
    "tagging": "resourcegroupstaggingapi",
}


@dataclass(frozen=True)
class HttpRequest:
    """One request to a host. `target` is its path with its query, as it was sent."""

    method: str
    host: str
    target: str
    headers: tuple[tuple[str, str], ...]
    body: bytes = b""

    def header(self, name: str) -> str:
        """The first value of a header; nothing without."""
        return next((value for key, value in self.headers if key.lower() == name.lower()), "")


@dataclass(frozen=True)
class HttpResponse:
    """One answer."""

    status: int
    headers: tuple[tuple[str, str], ...]
    body: bytes = b""


@dataclass(frozen=True)
class AwsError:
    """An error of a service: its code, its sentence and its HTTP status."""

    code: str
    message: str
    status: int = 400


@dataclass(frozen=True)
class Asked:
    """What a request asks for: the service by boto3's name, the operation, and the members of its request but for
    streams. All are empty for a request that is none of AWS's."""

    service: str = ""
    operation: str = ""
    members: dict[str, Any] = field(default_factory=dict)


def is_aws(host: str) -> bool:
    """Whether a name is one of AWS's."""
    return host.endswith(_SUFFIXES)


def read(request: HttpRequest) -> Asked:
    """What a signed request asks for."""
    signed = _signing_name(request)
    if not signed:
        return Asked()
    service = _service(signed, request)
    operation, members = _parser(service, request).parse(_localstack(request))
    kept = {key: value for key, value in members.items() if isinstance(value, str | int | float | bool | list | dict)}
    return Asked(service, operation.name, kept)


def write(error: AwsError, asked: Asked, request: HttpRequest) -> HttpResponse:
    """The error as the service answers it, in the protocol of the request."""
    model = load_service(asked.service)
    protocol = match_available_protocols(_localstack(request), model.protocols or [model.protocol])
    exception = CommonServiceException(error.code, error.message, error.status, sender_fault=error.status < 500)
    answer = create_serializer(model, protocol).serialize_error_to_response(
        exception, model.operation_model(asked.operation), dict(request.headers), "11111111-2222-3333-4444-555555555555"
    )
    body = b"" if request.method == "HEAD" else answer.data
    return HttpResponse(error.status, tuple(answer.headers.items()), body)


def _service(signed: str, request: HttpRequest) -> str:
    path = urlsplit(request.target).path
    if signed == "sagemaker" and path.startswith("/endpoints/"):
        return "sagemaker-runtime"
    return _CLIENT_NAMES.get(signed, signed)


def _parser(service: str, request: HttpRequest) -> Any:
    model = load_service(service)
    return create_parser(model, match_available_protocols(_localstack(request), model.protocols or [model.protocol]))


def _signing_name(request: HttpRequest) -> str:
    """The service that the request is signed for, in a header or in its address; nothing when it is not."""
    _, _, credential = request.header("Authorization").partition("Credential=")
    if not credential:
        credential = parse_qs(urlsplit(request.target).query).get("X-Amz-Credential", [""])[0]
    parts = credential.partition(",")[0].split("/")
    return parts[3] if len(parts) == 5 else ""


def _localstack(request: HttpRequest) -> Request:
    parts = urlsplit(request.target)
    return Request(
        method=request.method,
        path=parts.path,
        raw_path=parts.path,
        query_string=parts.query,
        headers=dict(request.headers),
        body=request.body,
        scheme="https",
        server=(request.host, 443),
    )

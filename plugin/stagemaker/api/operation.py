"""An operation of an AWS service as the stage answers it: the method, and what IAM would be asked about it.

`app.py` has the one table of them.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from stagemaker.core.refs import Kind, Ref, Scope

Request = Mapping[str, Any]
Response = dict[str, Any]
Call = Callable[[Scope, dict[str, Any]], Response]
Resource = Callable[[Scope, Request], tuple[str, ...]]


@dataclass(frozen=True)
class Operation:
    """`resource` gives the ARNs that the caller needs the permission `action` for, from a request that was validated.

    AWS source: "Actions, resources, and condition keys" of the service in the Service Authorization Reference."""

    name: str
    call: Call
    resource: Resource
    action: str


@dataclass(frozen=True)
class Service:
    """`name` is botocore's; `invalid` the code of the error for a request that breaks the service's model."""

    name: str
    invalid: str
    operations: Mapping[str, Operation]


def service(name: str, invalid: str, *rows: tuple[str, Call, Resource], iam: str = "") -> Service:
    """A service of the table. `iam` begins its actions where that is not its name."""
    operations = [Operation(row[0], row[1], row[2], f"{iam or name}:{row[0]}") for row in rows]
    found = {operation.name: operation for operation in operations}
    if len(found) < len(operations):
        raise ValueError(f"An operation of {name} has two rows.")
    return Service(name, invalid, found)


def every(_scope: Scope, _request: Request) -> tuple[str, ...]:
    """No resource of its own: a policy must say `*`."""
    return ("*",)


def named(*kinds: Kind) -> Resource:
    """What the request names, for each kind that it names one of, such as EndpointName and EndpointConfigName."""

    def resource(scope: Scope, request: Request) -> tuple[str, ...]:
        return tuple(Ref(scope, kind, request[kind.name_member]).arn for kind in kinds if kind.name_member in request)

    return resource


def by_arn(member: str) -> Resource:
    """The resource whose ARN is this member of the request."""

    def resource(_scope: Scope, request: Request) -> tuple[str, ...]:
        return (request[member],)

    return resource


def plain(request: Request) -> dict[str, Any]:
    """The request as the operations get it: without the Nones that LocalStack's parser leaves where a member was not
    sent, with its streams read, and with moments in epoch seconds."""
    return {key: _plain(value) for key, value in request.items() if value is not None}


def described(record: Mapping[str, Any], hidden: Iterable[str] = ()) -> Response:
    """What a Describe operation shows of a record: all but its tags, what the stage keeps for itself, and `hidden`."""
    left_out = {"Tags", OWN, *hidden}
    return {key: value for key, value in record.items() if key not in left_out}


OWN = "Stagemaker"  # the member of a record under which the stage keeps what is not AWS's


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return plain(value)
    if isinstance(value, list):
        return [_plain(item) for item in value if item is not None]
    if isinstance(value, datetime):  # without a zone it is UTC, as botocore's parser means it
        return (value if value.tzinfo else value.replace(tzinfo=UTC)).timestamp()
    return value.read() if hasattr(value, "read") else value

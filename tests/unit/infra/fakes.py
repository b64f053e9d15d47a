"""Fake AWS clients that answer from a table and write down what they are asked, and fake resources."""

from collections.abc import Callable, Mapping
from typing import Any

from botocore.exceptions import ClientError

from infra.clients import Clients
from infra.resources.resource import Change, Resource, State

ACCOUNT = "123456789012"
NOTHING_IN_EC2: Mapping[str, Any] = {
    "describe_instances": {"Reservations": []},
    "describe_key_pairs": {"KeyPairs": []},
    "describe_launch_templates": {"LaunchTemplates": []},
    "describe_security_groups": {"SecurityGroups": []},
    "describe_vpc_endpoints": {"VpcEndpoints": []},
    "describe_vpcs": {"Vpcs": [{"VpcId": "vpc-01234567"}]},  # the default one, which every account has
    "describe_subnets": {"Subnets": [{"SubnetId": "subnet-01234567"}]},
    "describe_route_tables": {"RouteTables": [{"RouteTableId": "rtb-01234567", "Associations": [{"Main": True}]}]},
}


def missing(code: str = "ValidationException") -> ClientError:
    """AWS's answer for a resource that is not there."""
    return ClientError({"Error": {"Code": code, "Message": "there is none"}}, "Describe")


NOTHING_IN_IAM: Mapping[str, Any] = {name: missing("NoSuchEntity") for name in ("get_role", "get_instance_profile")}


class FakeClient:
    """A boto3 client. `answers` holds for each operation an answer, an exception, a function of the request, or a list
    of answers, whose last one stays. An operation without an answer answers with nothing. `calls` are the requests."""

    def __init__(self, answers: Mapping[str, Any] | None = None) -> None:
        self.answers = dict(answers or {})
        self.calls: list[tuple[str, dict[str, Any]]] = []

    def __getattr__(self, operation: str) -> Callable[..., Any]:
        def call(**request: Any) -> Any:
            self.calls.append((operation, request))
            answer = self.answers.get(operation, {})
            if isinstance(answer, list):
                answer = answer.pop(0) if len(answer) > 1 else answer[0]
            if isinstance(answer, Exception):
                raise answer
            return answer(**request) if callable(answer) else answer

        return call

    def get_paginator(self, operation: str) -> "FakePaginator":
        """Pages are the answers of the operation: one page."""
        return FakePaginator(self, operation)

    def names(self) -> list[str]:
        """The operations that were called, in order."""
        return [name for name, _ in self.calls]


class FakePaginator:
    """One page: the client's answer."""

    def __init__(self, client: FakeClient, operation: str) -> None:
        self.client, self.operation = client, operation

    def paginate(self, **request: Any) -> list[Any]:
        """The only page."""
        return [getattr(self.client, self.operation)(**request)]


def fake_clients(**services: FakeClient) -> Clients:
    """Clients of a stack on this machine; a service that is not given answers with nothing. Nothing is scaled, and
    there is no role, no function, no log group and nothing in EC2."""
    services.setdefault("iam", FakeClient(NOTHING_IN_IAM))
    services.setdefault("lambda_", FakeClient({"get_function": missing("ResourceNotFoundException")}))
    services.setdefault("autoscaling", FakeClient({"describe_scalable_targets": {"ScalableTargets": []}}))
    services.setdefault("ec2", FakeClient(NOTHING_IN_EC2))
    services.setdefault("logs", FakeClient({"describe_log_groups": {"logGroups": []}}))
    names = ("s3", "iam", "logs", "sagemaker", "runtime", "lambda_", "ecr", "autoscaling", "ec2", "ssm", "tagging")
    made: dict[str, Any] = {name: services.get(name, FakeClient()) for name in names}
    return Clients("local", "us-east-1", "http://127.0.0.1:1", ACCOUNT, poll_s=0.0, **made)


class FakeResource(Resource):
    """A resource whose state is a number in a dict that stands for AWS. `journal` gets what was done with it."""

    def __init__(
        self,
        title: str,
        there: dict[str, int],
        journal: list[str],
        *depends_on: str,
        wanted: int = 1,
        fixed: bool = False,
    ) -> None:
        self.title, self.name, self.depends_on = title, title.lower(), depends_on
        self.there, self.journal, self.wanted, self.fixed = there, journal, wanted, fixed

    def read(self) -> State | None:
        """Its number."""
        return {"number": self.there[self.name]} if self.name in self.there else None

    def diff(self, state: State) -> list[Change]:
        """Whether the number is the wanted one."""
        same = state["number"] == self.wanted
        return [] if same else [Change("number", state["number"], self.wanted, replaces=self.fixed)]

    def create(self) -> str:
        """Put the number there."""
        self._write("create")
        return "made"

    def update(self, state: State, changes: list[Change]) -> str:
        """Put the number there."""
        self._write("update")
        return ""

    def delete(self) -> None:
        """Take the number away."""
        self.journal.append(f"delete {self.name}")
        del self.there[self.name]

    def _write(self, what: str) -> None:
        self.journal.append(f"{what} {self.name}")
        self.there[self.name] = self.wanted

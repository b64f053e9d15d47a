"""Judges of the requests that a deployment sends, so that our stage is not the only one: botocore's models with the
constraints that botocore itself does not check, and moto's records of each service."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import cache

import botocore.session
from botocore.model import ServiceModel
from botocore.validate import ParamValidator

from stagemaker.api.validation import violations
from tests.aws import wire
from tests.aws.backends import Backend, Moto
from tests.aws.pretended_aws import PretendedAws
from tests.aws.wire import Asked, HttpRequest, HttpResponse

NOT_IN_MOTO = {  # services and operations that this moto lacks
    ("service-quotas", "GetServiceQuota"), ("service-quotas", "GetAWSDefaultServiceQuota"),
    ("service-quotas", "ListServiceQuotas"), ("service-quotas", "ListAWSDefaultServiceQuotas"),
    ("pricing", "GetProducts"),
    ("lambda", "PutProvisionedConcurrencyConfig"), ("lambda", "GetProvisionedConcurrencyConfig"),
    ("lambda", "DeleteProvisionedConcurrencyConfig"),
    ("sagemaker", "DeleteTrainingJob"), ("sagemaker-runtime", "InvokeEndpoint"),
    ("sagemaker", "ListTags"),  # of a lifecycle configuration of notebooks
    ("logs", "AssociateKmsKey"), ("logs", "DisassociateKmsKey"),
}  # fmt: skip
OTHER_IN_MOTO = {  # what it answers otherwise, since nothing runs there: no log is written, a deletion takes no time
    ("logs", "DescribeLogStreams"), ("logs", "GetLogEvents"), ("logs", "DeleteLogGroup"), ("logs", "DeleteLogStream"),
    ("sagemaker", "DescribeEndpoint"),
    # Ids that the account chose, such as those of its VPC and of security groups, are none of moto's.
    ("ec2", "CreateVpcEndpoint"), ("ec2", "ModifyVpcEndpoint"), ("ec2", "DeleteVpcEndpoints"),
    ("ec2", "AuthorizeSecurityGroupIngress"), ("ec2", "AuthorizeSecurityGroupEgress"),
    ("ec2", "RevokeSecurityGroupIngress"), ("ec2", "RevokeSecurityGroupEgress"), ("ec2", "DeleteSecurityGroup"),
    ("ec2", "ModifyLaunchTemplate"),
    ("s3", "PutObject"), ("s3", "GetObject"),  # it reads no conditions, and denies what a bucket denies without TLS
}  # fmt: skip
_ACCOUNT = "000000000000"  # the stage's
_SHOWN_BYTES = 300


@dataclass(frozen=True)
class Sent:
    """A request, what it asks for, and the status of its answer."""

    request: HttpRequest
    asked: Asked
    status: int


class Recorder:
    """A backend that notes what another one answers, in the order of the answers."""

    def __init__(self, backend: Backend) -> None:
        self._backend = backend
        self.sent = list[Sent]()

    def send(self, request: HttpRequest) -> HttpResponse:
        """As the other answers."""
        response = self._backend.send(request)
        self.sent.append(Sent(request, wire.read(request), response.status))
        return response


@contextmanager
def judged(aws: PretendedAws) -> Iterator[None]:
    """What is sent meanwhile is judged at the end. Fails with each request that a model forbids, and with each that
    moto does not take and is on neither list. ECR's are judged by moto when they are answered."""
    before = aws.backend
    aws.backend = recorder = Recorder(before)
    try:
        yield
    finally:
        aws.backend = before
    found = sorted({text for one in recorder.sent for text in by_models(one.asked)})
    sent = [one for one in recorder.sent if one.asked.service != "ecr"]
    found += [
        f"{' '.join(pair)}: {text}" for pair, text in by_moto(sent).items() if pair not in NOT_IN_MOTO | OTHER_IN_MOTO
    ]
    if not sent or found:
        raise AssertionError("\n".join(found) or "nothing was sent")


def by_models(asked: Asked) -> list[str]:
    """What botocore's model of the operation forbids: members, types, lengths, patterns and enums. Streams are not
    looked at."""
    if (shape := _model(asked.service).operation_model(asked.operation).input_shape) is None:
        return []
    streams = {name: b"" for name in shape.required_members if shape.members[name].type_name == "blob"}
    members = streams | asked.members
    found = [f"{one.path}: {one.rule}" for one in violations(shape, members)]
    report = ParamValidator().validate(members, shape).generate_report().splitlines()
    return [f"{asked.service} {asked.operation}: {text}" for text in (*found, *report)]


@cache
def _model(service: str) -> ServiceModel:
    return botocore.session.get_session().get_service_model(service)


def by_moto(sent: Iterable[Sent]) -> dict[tuple[str, str], str]:
    """What moto, which gets the same requests in the same order, does not take though it was taken, or was to make
    something, with what it says: of each service and operation the first."""
    moto, found = Moto(), dict[tuple[str, str], str]()
    for one in sent:
        pair = (one.asked.service, one.asked.operation)
        headers = (*one.request.headers, ("x-moto-account-id", _ACCOUNT))
        try:
            response = moto.send(replace(one.request, headers=headers))
        except Exception as error:  # noqa: BLE001 - moto raises anything for what it does not know
            found.setdefault(pair, f"{one.status}, and moto fails: {error!r}")
            continue
        if response.status >= 300 and (one.status < 300 or one.asked.operation.startswith("Create")):
            text = response.body[:_SHOWN_BYTES].decode(errors="replace")
            found.setdefault(pair, f"{one.status}, and moto {response.status}: {text}")
    return found

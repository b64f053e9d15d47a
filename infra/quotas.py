"""The quotas of AWS that a deployment needs, whether the account has them, and the command that asks for more.

Pure but for `read_applied`, which asks Service Quotas and changes nothing. Only AWS is asked: what LocalStack answers
in its place says nothing about an account.
"""

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from types import MappingProxyType
from typing import Any, Literal

from botocore.exceptions import BotoCoreError, ClientError

from infra import instance_types
from infra.settings import DeploymentSettings

# Lambda keeps so many for functions that have reserved none
# (https://docs.aws.amazon.com/lambda/latest/dg/configuration-concurrency.html).
UNRESERVED_MIN = 100
CONCURRENT_EXECUTIONS = "Concurrent executions"
# What public lists of quotas say: a code that AWS answers with another name is not used.
CODES: Mapping[str, str] = MappingProxyType(
    {
        "ml.g4dn.xlarge for training job usage": "L-3F53BF0F",
        "ml.g5.xlarge for training job usage": "L-B6D80D9C",
        "ml.g4dn.xlarge for spot training job usage": "L-944F78BB",
        "ml.m5.xlarge for spot training job usage": "L-4CEE6BA6",
        "ml.m5.2xlarge for spot training job usage": "L-4A823FAB",
        "ml.g5.xlarge for endpoint usage": "L-1928E07B",
        "ml.m5.large for endpoint usage": "L-614B09FD",
        "ml.m5.xlarge for endpoint usage": "L-2F737F8D",
        "ml.t2.medium for endpoint usage": "L-29C181D7",
        "ml.t2.medium for notebook instance usage": "L-7B2FD69B",
        CONCURRENT_EXECUTIONS: "L-B99A9384",
        "Running On-Demand Standard (A, C, D, H, I, M, R, T, Z) instances": "L-1216C47A",
        "All Standard (A, C, D, H, I, M, R, T, Z) Spot Instance Requests": "L-34B43A08",
        "Running On-Demand G and VT instances": "L-DB2E81BA",
        "All G and VT Spot Instance Requests": "L-3819A6DF",
    }
)
# vCPUs of a new account, as notes of September 2026 say that AWS's page has them.
_STANDARD_VCPUS = 5
_NEW_LAMBDA = 10
_MISSING = ("NoSuchResourceException",)

Verdict = Literal["enough", "too low", "not known"]


@dataclass(frozen=True)
class Need:
    """A quota by AWS's name in a service (its code for Service Quotas), and how much of it the plan needs, in `unit`.
    `new_account` is what new accounts usually have, None where this is not known."""

    service: str
    name: str
    needed: int
    unit: str
    reason: str
    new_account: int | None = None


@dataclass(frozen=True)
class Applied:
    """The value that AWS applies to the account, and the quota's code."""

    value: float
    code: str


@dataclass(frozen=True)
class Quotas:
    """What is needed in a region, and what AWS applies, by name. `problem` says why AWS could not be asked, or was not;
    empty where it was."""

    region: str
    needs: tuple[Need, ...]
    applied: Mapping[str, Applied]
    problem: str = ""

    def verdict(self, need: Need) -> Verdict:
        """Whether the account has what is needed, as far as AWS says."""
        found = self.applied.get(need.name)
        if found is None:
            return "not known"
        return "enough" if found.value >= need.needed else "too low"


def needs_of(settings: DeploymentSettings) -> tuple[Need, ...]:
    """Each quota once. Counted as if all jobs of a deployment ran at once; a search runs by itself."""
    notebook = settings.notebook
    return (
        *_training(settings),
        *_hosting(settings),
        *_concurrency(settings),
        *((notebook_need(notebook.instance_type),) if notebook else ()),
    )


def _training(settings: DeploymentSettings) -> Iterable[Need]:
    deployed, searched = dict[str, int](), dict[str, int]()
    for training in dict.fromkeys(model.training for model in settings.models):
        name = _training_quota(training.instance_type, training.spot)
        deployed[name] = deployed.get(name, 0) + training.instances
    first = settings.models[0].training
    searched[_training_quota(first.instance_type, first.spot)] = settings.tuning.parallel * first.instances
    for name in dict.fromkeys((*deployed, *searched)):
        jobs, search = deployed.get(name, 0), searched.get(name, 0)
        reason = f"{jobs} of the models' training jobs, {search} of `make tune` at once"
        yield Need("sagemaker", name, max(jobs, search), "instances", reason, _new_account(name))


def _training_quota(instance_type: str, spot: bool) -> str:
    return f"{instance_type} for {'spot ' if spot else ''}training job usage"


def _hosting(settings: DeploymentSettings) -> Iterable[Need]:
    most = dict[str, int]()
    for model in settings.models:
        endpoint = model.endpoint
        count = endpoint.scaling.max_instances if endpoint.scaling else endpoint.instances
        most[endpoint.instance_type] = most.get(endpoint.instance_type, 0) + count
    for instance_type, count in most.items():
        name = f"{instance_type} for endpoint usage"
        yield Need("sagemaker", name, count, "instances", "the most instances of all endpoints", _new_account(name))


def _new_account(name: str) -> int | None:
    """New accounts have no GPUs of SageMaker; what else they have differs."""
    known = instance_types.find(name.split()[0])
    return 0 if known and known.gpu else None


def _concurrency(settings: DeploymentSettings) -> Iterable[Need]:
    reserved = settings.function.reserved or settings.function.provisioned
    if reserved:
        reason = f"{reserved} of the function, and {UNRESERVED_MIN} that Lambda keeps unreserved"
        total = reserved + UNRESERVED_MIN
        yield Need("lambda", CONCURRENT_EXECUTIONS, total, "executions", reason, _NEW_LAMBDA)


def notebook_need(instance_type: str) -> Need:
    """Of a notebook instance."""
    name = f"{instance_type} for notebook instance usage"
    return Need("sagemaker", name, 1, "instances", "the notebook", _new_account(name))


def host_needs(instance_type: str, spot: bool) -> tuple[Need, ...]:
    """Of a host on EC2, whose quotas count vCPUs of a class of types: that of on demand, then that of spot for one that
    may also have to run on demand. None for a type or class that is not known."""
    known = instance_types.find(instance_type)
    if known is None or instance_type.startswith("p"):
        return ()
    group, new = ("G and VT", 0) if known.gpu else ("Standard (A, C, D, H, I, M, R, T, Z)", _STANDARD_VCPUS)
    names = [f"Running On-Demand {group} instances"] + ([f"All {group} Spot Instance Requests"] if spot else [])
    return tuple(Need("ec2", name, known.vcpus, "vCPUs", f"the EC2 host, {instance_type}", new) for name in names)


def request_command(need: Need, region: str, code: str) -> str:
    """What asks AWS for the quota; without its code, what finds the code first."""
    where = f"--service-code {need.service} --region {region}"
    if code:
        ask = "aws service-quotas request-service-quota-increase"
        return f"{ask} {where} --quota-code {code} --desired-value {need.needed}"
    query = f"Quotas[?QuotaName=='{need.name}'].[QuotaCode,Value]"
    return f'aws service-quotas list-aws-default-service-quotas {where} --query "{query}" --output text'


def not_asked(region: str, needs: tuple[Need, ...]) -> Quotas:
    """For a target that is not AWS."""
    return Quotas(region, needs, {}, "AWS was not asked, since the target is this machine")


def read_applied(client: Any, region: str, needs: tuple[Need, ...]) -> Quotas:
    """Ask Service Quotas (a boto3 client) for the value of each quota. Where AWS refuses or cannot be reached,
    `problem` says so, and nothing is known."""
    try:
        return Quotas(region, needs, _applied(client, needs))
    except ClientError as error:
        problem = f"Service Quotas refused: {error.response['Error']['Code']}"
    except BotoCoreError as error:
        problem = f"Service Quotas could not be asked: {type(error).__name__}"
    return Quotas(region, needs, {}, problem)


def _applied(client: Any, needs: tuple[Need, ...]) -> dict[str, Applied]:
    found = dict[str, Applied]()
    for need in needs:
        if (code := CODES.get(need.name)) and (applied := _by_code(client, need, code)):
            found[need.name] = applied
    for service in dict.fromkeys(need.service for need in needs):
        missing = {need.name for need in needs if need.service == service} - found.keys()
        for operation in ("list_service_quotas", "list_aws_default_service_quotas"):
            if missing:  # hundreds of quotas, so only where a code did not lead there
                found |= _by_name(client, operation, service, missing)
                missing -= found.keys()
    return found


def _by_code(client: Any, need: Need, code: str) -> Applied | None:
    """The applied value, else AWS's default, which holds until a quota is changed; None where the code is no quota of
    this name."""
    for get in (client.get_service_quota, client.get_aws_default_service_quota):
        try:
            quota = get(ServiceCode=need.service, QuotaCode=code)["Quota"]
        except ClientError as error:
            if error.response["Error"]["Code"] not in _MISSING:
                raise
        else:
            return Applied(quota["Value"], code) if quota["QuotaName"] == need.name else None
    return None


def _by_name(client: Any, operation: str, service: str, names: set[str]) -> dict[str, Applied]:
    pages = client.get_paginator(operation).paginate(ServiceCode=service)
    quotas = (quota for page in pages for quota in page["Quotas"] if quota["QuotaName"] in names)
    return {quota["QuotaName"]: Applied(quota["Value"], quota["QuotaCode"]) for quota in quotas}


def lines(quotas: Quotas) -> list[str]:
    """For the reader: each quota with the verdict, and the command where it may be too low."""
    problem = [f"{quotas.problem}: check these yourself."] if quotas.problem else []
    found = ["Quotas of AWS that it needs, which count all that the account runs:", *problem]
    for need in quotas.needs:
        found.append(f"{_verdict_text(quotas, need):26}  {need.needed} {need.unit}: {need.name} ({need.reason})")
        if quotas.verdict(need) != "enough":
            found.append(f"{'':28}{_request(quotas, need)}")
    return found


def _verdict_text(quotas: Quotas, need: Need) -> str:
    applied = quotas.applied.get(need.name)
    if applied:
        return f"{quotas.verdict(need)} ({applied.value:g})"
    return "not known" if need.new_account is None else f"not known (new: usually {need.new_account})"


def _request(quotas: Quotas, need: Need) -> str:
    applied = quotas.applied.get(need.name)
    return request_command(need, quotas.region, applied.code if applied else CODES.get(need.name, ""))


def document(quotas: Quotas) -> dict[str, Any]:
    """The quotas as JSON."""
    return {
        "region": quotas.region,
        "problem": quotas.problem,
        "needs": [
            {
                **asdict(need),
                "applied": asdict(quotas.applied[need.name]) if need.name in quotas.applied else None,
                "verdict": quotas.verdict(need),
                "request": _request(quotas, need),
            }
            for need in quotas.needs
        ],
    }

"""Pure: serverless variants. What a configuration may ask for, what an account may have, and how many containers run.

Each container has one request at a time. AWS source: "Deploy models with Amazon SageMaker Serverless Inference" of the
developer guide, for its limits and for what it excludes.
"""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from stagemaker.core.errors import ApiError, validation_error
from stagemaker.core.store import Record
from stagemaker.hosting.multi_container import containers_of, is_multi_container
from stagemaker.hosting.multi_model import is_multi_model

MEMBER, UPDATE = "ServerlessConfig", "ServerlessUpdateConfig"
MEMORY_STEP_MB = 1024
HEALTH_TIMEOUT_S = 180  # until the first answer to GET /ping
DISK_BYTES = 5 << 30
MAX_BODY_BYTES = 4 << 20  # of request and response
MAX_ENDPOINTS = 50  # of an account in a region, as the concurrency of all of them together
MAX_ACCOUNT_CONCURRENCY, MAX_ACCOUNT_CONCURRENCY_ELSEWHERE = 1000, 500
LARGE_REGIONS = (
    "us-east-1", "us-east-2", "us-west-2", "ap-southeast-1", "ap-southeast-2", "ap-northeast-1", "eu-central-1",
    "eu-west-1",
)  # fmt: skip
MB_PER_CPU = 1024  # (ours) AWS says only that the CPUs grow with the memory
KEEP_WARM_S = 300  # (ours) a container that has no request runs on so long, in AWS's seconds
WAIT_S = 60.0  # (ours) a request waits for its container, and then has 60 s for its answer

_OF_INSTANCES = (
    "InstanceType",
    "InitialInstanceCount",
    "VolumeSizeInGB",
    "ContainerStartupHealthCheckTimeoutInSeconds",
    "ModelDataDownloadTimeoutInSeconds",
    "RoutingConfig",
)


def is_serverless(variant: Mapping[str, Any]) -> bool:
    """Whether a variant of an endpoint configuration is one."""
    return MEMBER in variant


def check_serverless_config(request: Mapping[str, Any]) -> None:
    """ValidationException for a CreateEndpointConfig request with a serverless variant that cannot be: one of several,
    or together with what AWS excludes; memory that is no multiple of 1 GB; more that is provisioned than runs at once.
    """
    production, shadows = request["ProductionVariants"], request.get("ShadowProductionVariants", ())
    if not any(map(is_serverless, (*production, *shadows))):
        return
    if shadows:
        raise _not_supported("A shadow variant (ShadowProductionVariants)")
    if len(production) > 1:
        raise _not_supported("More than one production variant")
    if "AsyncInferenceConfig" in request:
        raise _not_supported("Asynchronous inference (AsyncInferenceConfig)")
    if request.get("DataCaptureConfig", {"EnableCapture": False}).get("EnableCapture", True):
        raise _not_supported("Data capture (DataCaptureConfig)")
    if request.get("EnableNetworkIsolation"):
        raise _not_supported("Network isolation")
    variant = production[0]
    if given := [member for member in _OF_INSTANCES if member in variant]:
        raise _not_supported(given[0])
    memory_mb = variant[MEMBER]["MemorySizeInMB"]
    if memory_mb % MEMORY_STEP_MB:
        raise validation_error(f"MemorySizeInMB must be a multiple of {MEMORY_STEP_MB}, not {memory_mb}.")
    check_concurrency(variant["VariantName"], variant[MEMBER]["MaxConcurrency"], provisioned(variant[MEMBER]))


def check_serverless_model(model: Record) -> None:
    """ValidationException for a model that no serverless variant can have."""
    if is_multi_container(model):
        raise _not_supported("An inference pipeline, or any model of several containers (Containers),")
    if any(map(is_multi_model, containers_of(model))):
        raise _not_supported("A multi-model endpoint")
    if "VpcConfig" in model:
        raise _not_supported("A VPC configuration (VpcConfig)")
    if model["EnableNetworkIsolation"]:
        raise _not_supported("Network isolation")


def check_concurrency(variant: str, most: int, kept: int) -> None:
    """ValidationException when more containers are `kept` than run at once."""
    if kept > most:
        raise validation_error(
            f"ProvisionedConcurrency of variant {variant} must be less than or equal to MaxConcurrency; "
            f"{kept} is more than {most}."
        )


def check_quotas(region: str, others: Collection[int], most: int) -> None:
    """ResourceLimitExceeded when an account that has `others`, the MaxConcurrency of each other serverless endpoint,
    may not have one more with `most`."""
    if len(others) >= MAX_ENDPOINTS:
        raise _limit_exceeded("Maximum number of serverless endpoints", "Endpoints", MAX_ENDPOINTS, len(others), 1)
    limit = MAX_ACCOUNT_CONCURRENCY if region in LARGE_REGIONS else MAX_ACCOUNT_CONCURRENCY_ELSEWHERE
    if sum(others) + most > limit:
        quota = "Maximum total concurrency that can be allocated across all serverless endpoints"
        raise _limit_exceeded(quota, "Total Concurrency", limit, sum(others), most)


def provisioned(config: Mapping[str, Any]) -> int:
    """How many containers a ServerlessConfig keeps."""
    return int(config.get("ProvisionedConcurrency", 0))


def serverless_config(memory_mb: int, most: int | None, kept: int) -> dict[str, int]:
    """A ServerlessConfig as DescribeEndpoint has it."""
    provisioned = {"ProvisionedConcurrency": kept} if kept else {}
    return {"MemorySizeInMB": memory_mb, "MaxConcurrency": most or 0, **provisioned}


@dataclass(frozen=True)
class Known:
    """What is known of a container: it `starts` until its first answer to /ping; `idle_s` is how long it has had no
    request, None while it has one or takes none."""

    id: str
    starts: bool
    idle_s: float | None


@dataclass(frozen=True)
class Plan:
    """How many containers to start, and which to end."""

    start: int
    retire: tuple[str, ...]


@dataclass(frozen=True)
class Limits:
    """`kept` containers run always, at most `most` at once. One without a request goes after `keep_warm_s`. Starts take
    turns, `starting` at once: many at once would each take longer than a start may, and a container that is free
    meanwhile saves one."""

    kept: int
    most: int
    keep_warm_s: float
    starting: int


def plan_containers(known: Iterable[Known], waiting: int, limits: Limits) -> Plan:
    """For `waiting` requests that have no container yet; one that is idle is just being given to one of them."""
    there, kept = list(known), limits.kept
    starting = sum(each.starts for each in there)
    idle = [each for each in there if each.idle_s is not None]
    missing = max(min(waiting - starting - len(idle), limits.most - len(there)), kept - len(there), 0)
    idle.sort(key=lambda each: each.idle_s or 0.0, reverse=True)
    expired = [each.id for each in idle if (each.idle_s or 0.0) >= limits.keep_warm_s]
    retire = tuple(expired[: max(0, len(there) - kept)]) if not waiting else ()
    return Plan(min(missing, max(0, limits.starting - starting)), retire)


def _not_supported(what: str) -> ApiError:
    """In the words that a live account got for network isolation."""
    return validation_error(f"{what} is not supported for serverless endpoint.")


def _limit_exceeded(quota: str, unit: str, limit: int, used: int, asked: int) -> ApiError:
    sentence = (
        f"The account-level service limit '{quota}' is {limit} {unit}, with current utilization of {used} {unit} "
        f"and a request delta of {asked} {unit}."
    )
    return ApiError("ResourceLimitExceeded", sentence)

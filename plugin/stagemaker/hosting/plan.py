"""Pure: from the records of an endpoint configuration and its models to the fleet of containers that serves it."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from stagemaker.api.unsupported import not_supported, refuse
from stagemaker.core.errors import validation_error
from stagemaker.core.store import Record
from stagemaker.runtime.contract import ContainerSpec

HEALTH_TIMEOUT_S = 240  # AWS's guide of 2023: 4 minutes, unless ContainerStartupHealthCheckTimeoutInSeconds is given
VOLUME_GB = 30  # (ours) what a model may take unpacked, unless VolumeSizeInGB is given
DEFAULT_WEIGHT = 1.0  # AWS's, where InitialVariantWeight is left out
NOT_YET = {
    "ManifestS3Uri": "model data manifests",
    "HubAccessConfig": "model hubs",
}


@dataclass(frozen=True)
class ModelSource:
    """Model data in S3: an "archive" (tar.gz) to unpack, one "object" or a "prefix" of objects to copy."""

    uri: str
    form: str


@dataclass(frozen=True)
class InstancePlan:
    """One instance: here, one container."""

    id: str  # in the form of EC2's, such as i-0123456789abcdef0
    base_dir: Path  # what its container sees as /opt/ml
    spec: ContainerSpec  # without the role's credentials, which are made when it starts
    log_stream: str
    health_timeout_s: int


@dataclass(frozen=True)
class VariantPlan:
    """The instances that run one model, and the share of the requests that they get."""

    name: str
    weight: float
    least_outstanding: bool  # RoutingStrategy LEAST_OUTSTANDING_REQUESTS; otherwise in turn
    image: str
    role_arn: str
    source: ModelSource | None
    max_model_bytes: int
    instances: tuple[InstancePlan, ...]


@dataclass(frozen=True)
class FleetPlan:
    """All that runs for an endpoint under one configuration. `folder` holds the instances' folders and nothing else."""

    endpoint: str
    config: str
    folder: Path
    log_group: str
    variants: tuple[VariantPlan, ...]


def model_source(container: Mapping[str, Any]) -> ModelSource | None:
    """Where a container's model data lies; None when its image brings all it needs.

    Raises ValidationException for an address that is not in S3, 501 for forms that are not implemented.
    """
    url, source = container.get("ModelDataUrl"), container.get("ModelDataSource", {}).get("S3DataSource")
    if url and source and url != source["S3Uri"]:
        raise validation_error("ModelDataUrl and ModelDataSource name different model data: give one of them.")
    if source:
        refuse(source, NOT_YET)
        form = _form(source["S3DataType"], source["CompressionType"])
        url = source["S3Uri"]
    else:
        form = "archive"
    if not url:
        return None
    scheme, _, key = url.partition("://")
    if scheme != "s3" or not key.partition("/")[2]:
        raise validation_error(f"Model data must be given as s3://bucket/key, not as {url}.")
    return ModelSource(url, form)


def _form(data_type: str, compression: str) -> str:
    if compression == "None":
        return "prefix" if data_type == "S3Prefix" else "object"
    if data_type == "S3Prefix":
        raise not_supported("model data of several archives (S3DataType S3Prefix with CompressionType Gzip)")
    return "archive"


def plan_fleet(
    endpoint: str, config: Record, containers: Mapping[str, Record], *, generation: str, work_dir: Path
) -> FleetPlan:
    """The fleet of `endpoint` under `config`.

    `containers` has each model's container by the model's name, with "ExecutionRoleArn" beside AWS's members.
    `generation` makes instance ids and folders differ from those of every other fleet of this or an equal name.
    """
    folder = work_dir / f"{endpoint}-{generation}"
    return FleetPlan(
        endpoint=endpoint,
        config=config["EndpointConfigName"],
        folder=folder,
        log_group=f"/aws/sagemaker/Endpoints/{endpoint}",
        variants=tuple(
            _plan_variant(endpoint, variant, containers[variant["ModelName"]], folder)
            for variant in config["ProductionVariants"]
        ),
    )


def _plan_variant(endpoint: str, variant: Mapping[str, Any], container: Record, folder: Path) -> VariantPlan:
    def instance(index: int) -> InstancePlan:
        digest = hashlib.sha256(f"{folder}/{variant['VariantName']}/{index}".encode()).hexdigest()
        identity = f"i-{digest[:17]}"
        return InstancePlan(
            id=identity,
            base_dir=folder / identity,
            spec=ContainerSpec(
                name=f"{endpoint}-{identity}",
                image=container["Image"],
                command=("serve",),
                base_dir=folder / identity,
                environment=dict(container.get("Environment", {})),
                serves=True,
                instance_type=variant["InstanceType"],
            ),
            log_stream=f"{variant['VariantName']}/{identity}",
            health_timeout_s=variant.get("ContainerStartupHealthCheckTimeoutInSeconds", HEALTH_TIMEOUT_S),
        )

    return VariantPlan(
        name=variant["VariantName"],
        weight=variant.get("InitialVariantWeight", DEFAULT_WEIGHT),
        least_outstanding=variant.get("RoutingConfig", {}).get("RoutingStrategy") == "LEAST_OUTSTANDING_REQUESTS",
        image=container["Image"],
        role_arn=container["ExecutionRoleArn"],
        source=model_source(container),
        max_model_bytes=variant.get("VolumeSizeInGB", VOLUME_GB) << 30,
        instances=tuple(instance(index) for index in range(variant["InitialInstanceCount"])),
    )


def next_variant(weights: Mapping[str, float], served: Mapping[str, int]) -> str | None:
    """Who gets the next request, so that after any number of them the shares are as near to the weights as can be.

    `served` counts the requests that each variant got so far. None when no weight is above 0.
    """
    taking = [name for name, weight in weights.items() if weight > 0]
    return min(taking, key=lambda name: (served[name] + 1) / weights[name], default=None)

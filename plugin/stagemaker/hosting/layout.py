"""Pure: from the records of an endpoint configuration and its models to what each instance of a fleet runs.

How many instances a variant has and which share of the requests it gets are no part of it: see `targets`.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from stagemaker.api.unsupported import not_supported, refuse
from stagemaker.core.errors import validation_error
from stagemaker.core.store import Record
from stagemaker.core.vpc import first_subnet
from stagemaker.hosting.async_config import AsyncConfig, async_config
from stagemaker.hosting.calls import MAX_BODY_BYTES
from stagemaker.hosting.capture import CaptureConfig, capture_config
from stagemaker.hosting.metrics_config import MetricsConfig, metrics_config
from stagemaker.hosting.multi_container import container_names, containers_of, is_direct
from stagemaker.hosting.multi_model import ENVIRONMENT, FOLDER, ModelsSource, is_multi_model, models_source
from stagemaker.hosting.serverless import DISK_BYTES, MB_PER_CPU, MEMBER, is_serverless
from stagemaker.hosting.serverless import HEALTH_TIMEOUT_S as SERVERLESS_HEALTH_TIMEOUT_S
from stagemaker.hosting.serverless import MAX_BODY_BYTES as SERVERLESS_MAX_BODY_BYTES
from stagemaker.hosting.targets import SHADOWS
from stagemaker.runtime.contract import ContainerSpec, mounts_below_base

HEALTH_TIMEOUT_S = 240  # AWS's guide of 2023: 4 minutes, unless ContainerStartupHealthCheckTimeoutInSeconds is given
DOWNLOAD_TIMEOUT_S = 3600  # (ours) unless ModelDataDownloadTimeoutInSeconds is given: the longest that AWS takes
VOLUME_GB = 30  # (ours) what a model may take unpacked, unless VolumeSizeInGB is given
NOT_YET = {
    "ManifestS3Uri": "model data manifests",
    "HubAccessConfig": "model hubs",
    "ETag": "model data of one version",
    "ManifestEtag": "model data manifests",
}


@dataclass(frozen=True)
class ModelSource:
    """Model data in S3: an "archive" (tar.gz) to unpack, one "object" or a "prefix" of objects to copy."""

    uri: str
    form: str


@dataclass(frozen=True)
class InstanceContainer:
    """One container of an instance."""

    name: str  # as of its ContainerLayout
    base_dir: Path  # its own folder; it sees `model` or `models` of it, if it has any, below /opt/ml
    spec: ContainerSpec  # without the role's credentials, which are made when it starts
    log_stream: str


@dataclass(frozen=True)
class InstanceLayout:
    """One instance: mostly one container, or all containers of a model."""

    id: str  # in the form of EC2's, such as i-0123456789abcdef0
    base_dir: Path  # its own folder
    containers: tuple[InstanceContainer, ...]
    log_stream: str  # of the instance, and so of a container that is alone
    health_timeout_s: int
    one_request: bool = False  # at a time; its container is not started again


@dataclass(frozen=True)
class ContainerLayout:
    """What one container of every instance of a variant runs."""

    name: str  # of `multi_container.container_names`
    image: str
    environment: Mapping[str, str]
    source: ModelSource | None
    models: ModelsSource | None = None  # of a multi-model endpoint: fetched when requests ask for them

    @property
    def folders(self) -> tuple[str, ...]:
        """Of each instance, which the container sees below /opt/ml."""
        return (FOLDER,) if self.models else ("model",) if self.source else ()


@dataclass(frozen=True)
class VariantLayout:
    """What every instance of a variant runs."""

    name: str
    containers: tuple[ContainerLayout, ...]
    instance_type: str
    role_arn: str
    max_model_bytes: int
    health_timeout_s: int
    least_outstanding: bool  # RoutingStrategy LEAST_OUTSTANDING_REQUESTS; otherwise in turn
    download_timeout_s: int = DOWNLOAD_TIMEOUT_S  # of the model data
    subnet: str = ""  # the id of the one in which its containers are; empty: in none
    isolated: bool = False  # EnableNetworkIsolation of the model
    is_direct: bool = False  # a request is for the one container that it names; otherwise it goes through all
    serverless_memory_mb: int = 0  # MemorySizeInMB of a serverless variant

    @property
    def is_serverless(self) -> bool:
        """Whether it has as many containers as requests."""
        return self.serverless_memory_mb > 0

    @property
    def max_body_bytes(self) -> int:
        """Of a request and of its response."""
        return SERVERLESS_MAX_BODY_BYTES if self.is_serverless else MAX_BODY_BYTES

    @property
    def is_multi_container(self) -> bool:
        """Whether its containers have names of their own."""
        return self.is_direct or len(self.containers) > 1

    @property
    def container_names(self) -> list[str]:
        """In their order."""
        return [container.name for container in self.containers]

    @property
    def models(self) -> ModelsSource | None:
        """Of a multi-model endpoint, which has one container."""
        return self.containers[0].models


@dataclass(frozen=True)
class FleetLayout:
    """What runs for an endpoint under one configuration. `folder` is the fleet's alone."""

    endpoint: str
    config: str
    folder: Path
    log_group: str
    variants: tuple[VariantLayout, ...]  # production variants
    log_suffix: str = ""  # of the log stream of each instance
    shadow: VariantLayout | None = None  # it gets copies of requests
    async_config: AsyncConfig | None = None  # of an asynchronous endpoint
    capture: CaptureConfig | None = None  # DataCaptureConfig
    metrics: MetricsConfig = field(default_factory=MetricsConfig)

    @property
    def is_serverless(self) -> bool:
        """Whether its one variant is."""
        return any(variant.is_serverless for variant in self.variants)

    @property
    def all_variants(self) -> tuple[VariantLayout, ...]:
        """The shadow variant too."""
        return (*self.variants, self.shadow) if self.shadow else self.variants

    def variant(self, name: str | None) -> VariantLayout | None:
        """The production variant of this name, or None."""
        return next((variant for variant in self.variants if variant.name == name), None)

    def instance(self, variant: VariantLayout, number: int, pinned: Mapping[str, str]) -> InstanceLayout:
        """The instance that is the `number`-th of its variant in this fleet; no two of an endpoint's have one id. It
        runs what the images of its containers, by their names, were `pinned` to."""
        digest = hashlib.sha256(f"{self.folder}/{variant.name}/{number}".encode()).hexdigest()
        identity = f"i-{digest[:17]}"
        stream = f"{variant.name}/{identity}{self.log_suffix}"
        alone = InstanceLayout(
            identity, self.folder / identity, (), stream, variant.health_timeout_s, variant.is_serverless
        )
        containers = [self._container(variant, each, alone, pinned.get(each.name, "")) for each in variant.containers]
        return replace(alone, containers=tuple(containers))

    def _container(
        self, variant: VariantLayout, container: ContainerLayout, instance: InstanceLayout, pinned: str
    ) -> InstanceContainer:
        base_dir, name, stream = instance.base_dir, f"{self.endpoint}-{instance.id}", instance.log_stream
        if variant.is_multi_container:
            base_dir, name = base_dir / container.name, f"{name}-{container.name}"
            stream = f"{stream}/{container.name}"
        spec = ContainerSpec(
            name=name,
            image=container.image,
            command=("serve",),
            base_dir=base_dir,
            mounts=mounts_below_base(base_dir, container.folders),
            environment=container.environment,
            serves=True,
            group="" if variant.isolated else self.folder.name,  # unique, as the folder is
            instance=instance.id if variant.is_multi_container else "",
            isolated=variant.isolated,
            instance_type=variant.instance_type,
            memory_mb=variant.serverless_memory_mb,
            cpus=variant.serverless_memory_mb // MB_PER_CPU,
            pinned=pinned,
        )
        return InstanceContainer(container.name, base_dir, spec, stream)


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
    if form == "prefix" and not url.endswith("/"):
        raise validation_error(f"S3Uri must end with a forward slash (/) when S3DataType is S3Prefix: {url}.")
    return ModelSource(url, form)


def _form(data_type: str, compression: str) -> str:
    if compression == "None":
        return "prefix" if data_type == "S3Prefix" else "object"
    if data_type == "S3Prefix":
        raise not_supported("model data of several archives (S3DataType S3Prefix with CompressionType Gzip)")
    return "archive"


def lay_out_fleet(
    endpoint: str, config: Record, models: Mapping[str, Record], *, generation: str, work_dir: Path
) -> FleetLayout:
    """The fleet of `endpoint` under `config`, whose models are in `models` by their names.

    `generation` makes instance ids and folders differ from those of every other fleet of this or an equal name.
    """
    shadows = [_lay_out_variant(each, models[each["ModelName"]]) for each in config.get(SHADOWS, ())]
    return FleetLayout(
        endpoint=endpoint,
        config=config["EndpointConfigName"],
        folder=work_dir / f"{endpoint}-{generation}",
        log_group=f"/aws/sagemaker/Endpoints/{endpoint}",
        variants=tuple(
            _lay_out_variant(variant, models[variant["ModelName"]]) for variant in config["ProductionVariants"]
        ),
        shadow=shadows[0] if shadows else None,
        async_config=async_config(config),
        capture=capture_config(config),
        metrics=metrics_config(config),
    )


def _lay_out_variant(variant: Mapping[str, Any], model: Record) -> VariantLayout:
    if is_serverless(variant):
        max_model_bytes, health_timeout_s = DISK_BYTES, SERVERLESS_HEALTH_TIMEOUT_S
    else:
        max_model_bytes = variant.get("VolumeSizeInGB", VOLUME_GB) << 30
        health_timeout_s = variant.get("ContainerStartupHealthCheckTimeoutInSeconds", HEALTH_TIMEOUT_S)
    containers = zip(container_names(model), containers_of(model), strict=True)
    return VariantLayout(
        name=variant["VariantName"],
        containers=tuple(_lay_out_container(name, container) for name, container in containers),
        is_direct=is_direct(model),
        instance_type=variant.get("InstanceType", ""),
        role_arn=model["ExecutionRoleArn"],
        subnet=first_subnet(model.get("VpcConfig")),
        isolated=model["EnableNetworkIsolation"],
        max_model_bytes=max_model_bytes,
        health_timeout_s=health_timeout_s,
        download_timeout_s=variant.get("ModelDataDownloadTimeoutInSeconds", DOWNLOAD_TIMEOUT_S),
        least_outstanding=variant.get("RoutingConfig", {}).get("RoutingStrategy") == "LEAST_OUTSTANDING_REQUESTS",
        serverless_memory_mb=variant[MEMBER]["MemorySizeInMB"] if is_serverless(variant) else 0,
    )


def _lay_out_container(name: str, container: Mapping[str, Any]) -> ContainerLayout:
    return ContainerLayout(
        name=name,
        image=container["Image"],
        environment={**container.get("Environment", {}), **(ENVIRONMENT if is_multi_model(container) else {})},
        source=None if is_multi_model(container) else model_source(container),
        models=models_source(container),
    )

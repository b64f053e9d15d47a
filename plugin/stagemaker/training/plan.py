"""CreateTrainingJob's request -> what to run, which files, where to put what comes out. Pure: nothing happens here.

AWS source: "How Amazon SageMaker AI Provides Training Information" and the pages around it in the developer guide.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from stagemaker.core.errors import validation_error
from stagemaker.core.refs import Ref
from stagemaker.core.vpc import first_subnet
from stagemaker.jobs.sources import s3_uri
from stagemaker.runtime.contract import BASE, Mount, mounts_below_base
from stagemaker.runtime.variables import replaced
from stagemaker.training.channels import Channel, channels
from stagemaker.training.config_files import CHECKPOINTS, TENSORBOARD, config_files
from stagemaker.training.instance_groups import InstanceGroup, instance_groups
from stagemaker.training.metrics import Metric, metric

DEFAULT_RUNTIME_S = 86_400  # AWS's default of MaxRuntimeInSeconds
MAX_RUNTIME_S = 28 * 86_400  # AWS's limit of it: 28 days
FOLDERS = ("input/config", "input/data", "model", "output/data")
MOUNTED = ("input", "model", "output")  # what of BASE is SageMaker's: the rest is the image's own


@dataclass(frozen=True)
class SavedFolder:
    """The files in the folder `path` of a container, absolute and without a slash at its end, go to S3 under `uri`
    while the job runs."""

    uri: str
    path: str

    def folder(self, base: Path) -> Path:
        """Our folder of them, for the host whose BASE is our folder `base`: in it, or beside it."""
        path = PurePosixPath(self.path)
        return base / path.relative_to(BASE) if path.is_relative_to(BASE) else Path(f"{base}-root{path}")


@dataclass(frozen=True)
class TrainingPlan:
    """The hosts are those of the `groups`. The paths of `files` are below BASE. `notes` are sentences for the first
    lines of each host's log."""

    name: str
    role_arn: str
    subnet: str  # the id of the one in which its hosts are; empty: in none
    image: str
    entrypoint: tuple[str, ...] | None  # in place of the image's own
    command: tuple[str, ...]
    groups: tuple[InstanceGroup, ...]
    environment: Mapping[str, str]
    notes: tuple[str, ...]
    files: Mapping[str, Mapping[str, str]]  # host -> path -> text
    channels: tuple[Channel, ...]
    metrics: tuple[Metric, ...]
    model_uri: str  # of an archive, or with a slash at its end of a prefix for the files as they are
    output_uri: str
    checkpoints: SavedFolder | None
    tensorboard: SavedFolder | None
    max_runtime_s: int
    isolated: bool  # from all but each other
    retries: int  # how often the job begins anew when the machine is at fault
    max_wait_s: int | None  # of managed spot training: from the job's creation to its end; None: no such training

    @property
    def hosts(self) -> tuple[str, ...]:
        """Their names, `algo-1` first."""
        return tuple(host for group in self.groups for host in group.hosts)

    def hosts_of(self, channel: Channel) -> tuple[str, ...]:
        """Those that get the channel."""
        return tuple(host for group in self.groups if channel.is_for(group.name) for host in group.hosts)

    def instance_type(self, host: str) -> str:
        """What the host is an instance of."""
        return next(group.instance_type for group in self.groups if host in group.hosts)

    @property
    def saved(self) -> tuple[SavedFolder, ...]:
        """The folders whose files go to S3 while the job runs, those above others first."""
        return tuple(sorted(filter(None, (self.checkpoints, self.tensorboard)), key=lambda saved: saved.path))

    def mounts(self, base: Path) -> tuple[Mount, ...]:
        """What the host whose BASE is our folder `base` sees of our folders."""
        found = list(mounts_below_base(base, MOUNTED))
        for saved in self.saved:
            folder = saved.folder(base)
            if not any(folder.is_relative_to(mount.folder) for mount in found):
                found.append(Mount(saved.path, folder))
        return tuple(found)


def training_plan(ref: Ref, request: Mapping[str, Any]) -> TrainingPlan:
    """Raises ValidationException for what AWS would not take; call `refuse_unsupported` before."""
    name = ref.name
    algorithm = request.get("AlgorithmSpecification", {})
    if "TrainingImage" not in algorithm:
        raise validation_error("AlgorithmSpecification.TrainingImage is required.")
    groups = instance_groups(request)
    inputs = channels(request, groups)
    own = {"TRAINING_JOB_NAME": name, "TRAINING_JOB_ARN": ref.arn}
    given = request.get("Environment", {})
    output = f"{s3_uri(request['OutputDataConfig']['S3OutputPath']).rstrip('/')}/{name}/output"
    return TrainingPlan(
        name=name,
        role_arn=request["RoleArn"],
        subnet=first_subnet(request.get("VpcConfig")),
        image=algorithm["TrainingImage"],
        entrypoint=tuple(algorithm["ContainerEntrypoint"]) if "ContainerEntrypoint" in algorithm else None,
        command=_command(algorithm),
        groups=groups,
        environment={**given, **own},
        notes=replaced(given, own),
        files={host: config_files(request, groups, inputs, host) for group in groups for host in group.hosts},
        channels=inputs,
        metrics=tuple(metric(definition) for definition in algorithm.get("MetricDefinitions", [])),
        model_uri=f"{output}/{'model/' if _is_uncompressed(request) else 'model.tar.gz'}",
        output_uri=f"{output}/output.tar.gz",
        checkpoints=_checkpoints(request),
        tensorboard=_tensorboard(name, request),
        max_runtime_s=_max_runtime_s(request),
        isolated=request.get("EnableNetworkIsolation", False),
        retries=request.get("RetryStrategy", {}).get("MaximumRetryAttempts", 0),
        max_wait_s=_max_wait_s(request),
    )


def _command(algorithm: Mapping[str, Any]) -> tuple[str, ...]:
    """AWS: an entry point of the request's own gets its arguments only, the image's own gets `train` without any."""
    default = () if "ContainerEntrypoint" in algorithm else ("train",)
    return tuple(algorithm.get("ContainerArguments", default))


def _is_uncompressed(request: Mapping[str, Any]) -> bool:
    """Whether the model is to lie in S3 file by file. AWS documents neither the name of their prefix nor that
    output.tar.gz stays an archive: both are ours."""
    return bool(request["OutputDataConfig"].get("CompressionType") == "NONE")


def _max_runtime_s(request: Mapping[str, Any]) -> int:
    runtime_s: int = request.get("StoppingCondition", {}).get("MaxRuntimeInSeconds", DEFAULT_RUNTIME_S)
    if runtime_s > MAX_RUNTIME_S:
        raise validation_error(f"MaxRuntimeInSeconds must be at most {MAX_RUNTIME_S} (28 days), not {runtime_s}.")
    return runtime_s


def _max_wait_s(request: Mapping[str, Any]) -> int | None:
    condition = request.get("StoppingCondition", {})
    wait_s: int | None = condition.get("MaxWaitTimeInSeconds")
    if not request.get("EnableManagedSpotTraining"):
        if wait_s is not None:
            raise validation_error("MaxWaitTimeInSeconds can only be given with EnableManagedSpotTraining.")
        return None
    if wait_s is None or wait_s < condition.get("MaxRuntimeInSeconds", DEFAULT_RUNTIME_S):
        raise validation_error(
            "Invalid MaxWaitTimeInSeconds. It must be present and be greater than or equal to MaxRuntimeInSeconds"
        )
    return wait_s


def _checkpoints(request: Mapping[str, Any]) -> SavedFolder | None:
    config = request.get("CheckpointConfig")
    return _saved("CheckpointConfig", config, CHECKPOINTS, config["S3Uri"]) if config else None


def _tensorboard(name: str, request: Mapping[str, Any]) -> SavedFolder | None:
    """AWS puts the files under <S3OutputPath>/<job>/tensorboard-output: there the sagemaker SDK's
    `Estimator.latest_job_tensorboard_artifacts_path` finds them."""
    config = request.get("TensorBoardOutputConfig")
    if not config:
        return None
    uri = f"{config['S3OutputPath'].rstrip('/')}/{name}/tensorboard-output"
    return _saved("TensorBoardOutputConfig", config, TENSORBOARD, uri)


def _saved(member: str, config: Mapping[str, Any], default: str, uri: str) -> SavedFolder:
    given = config.get("LocalPath", default)
    path, base = PurePosixPath(f"/{given.strip('/')}"), PurePosixPath(BASE)
    if not given.startswith("/") or ".." in path.parts or path in (base, *base.parents):
        raise validation_error(f"{member}.LocalPath must be a folder such as {default}, not '{given}'.")
    return SavedFolder(s3_uri(uri).rstrip("/"), str(path))

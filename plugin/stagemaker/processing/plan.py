"""CreateProcessingJob's request -> what to run, which files, where to put what comes out. Pure: nothing happens here.

AWS source: "How Amazon SageMaker Processing Configures Your Processing Container" and the pages around it in the
developer guide.
"""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from stagemaker.core.errors import ApiError, validation_error
from stagemaker.core.refs import Ref
from stagemaker.core.vpc import first_subnet
from stagemaker.jobs.cluster import MAX_HOSTS, refuse_read_only
from stagemaker.jobs.sources import Source
from stagemaker.runtime.contract import BASE, Mount

DEFAULT_RUNTIME_S = 86_400  # (ours) AWS's model has no default; the SDKs' jobs show a day
ROOT = f"{BASE}/processing"  # inputs and outputs are below it
_OWN = ("config", "output")  # what SageMaker owns of BASE besides


@dataclass(frozen=True)
class Input:
    """The objects of a source go to the folder `path` of the hosts."""

    name: str
    source: Source
    path: str


@dataclass(frozen=True)
class Output:
    """What is in the folder `path` of any host goes under `uri`: while it is written if `continuous`, else at the
    end."""

    name: str
    uri: str
    path: str
    continuous: bool


@dataclass(frozen=True)
class ProcessingPlan:
    """Paths of a container are absolute and without a slash at their end. `files`: host -> path below BASE -> text."""

    name: str
    role_arn: str
    subnet: str  # the id of the one in which its hosts are; empty: in none
    image: str
    entrypoint: tuple[str, ...] | None  # in place of the image's own
    command: tuple[str, ...]
    instance_type: str
    environment: Mapping[str, str]
    files: Mapping[str, Mapping[str, str]]
    inputs: tuple[Input, ...]
    outputs: tuple[Output, ...]
    max_runtime_s: int
    isolated: bool  # from all but each other

    @property
    def hosts(self) -> tuple[str, ...]:
        """Their names, `algo-1` first."""
        return tuple(self.files)

    @property
    def paths(self) -> tuple[str, ...]:
        """Of all inputs and outputs."""
        return (*(each.path for each in self.inputs), *(each.path for each in self.outputs))

    def mounts(self, base: Path) -> tuple[Mount, ...]:
        """What the host whose BASE is our folder `base` sees of our folders."""
        paths = _outermost([*(f"{BASE}/{name}" for name in _OWN), *self.paths])
        return tuple(Mount(path, folder(base, path)) for path in paths)


def folder(base: Path, path: str) -> Path:
    """Our folder of a container's `path`, for the host whose BASE is `base`."""
    return base / PurePosixPath(path).relative_to(BASE)


def processing_plan(ref: Ref, request: Mapping[str, Any]) -> ProcessingPlan:
    """Raises ValidationException for what AWS would not take; call `refuse_unsupported` before."""
    application = request["AppSpecification"]
    _check_cluster(request["ProcessingResources"]["ClusterConfig"])
    inputs = tuple(_input(each) for each in request.get("ProcessingInputs", []) if not each.get("AppManaged"))
    outputs = tuple(_output(each) for each in _outputs(request) if not each.get("AppManaged"))
    _refuse_twice("ProcessingInputs", [each["InputName"] for each in request.get("ProcessingInputs", [])])
    _refuse_twice("ProcessingInputs", [each.path for each in inputs])
    _refuse_twice("ProcessingOutputConfig.Outputs", [each["OutputName"] for each in _outputs(request)])
    entrypoint = application.get("ContainerEntrypoint")
    return ProcessingPlan(
        name=ref.name,
        role_arn=request["RoleArn"],
        subnet=first_subnet(request.get("NetworkConfig", {}).get("VpcConfig")),
        image=application["ImageUri"],
        entrypoint=tuple(entrypoint) if entrypoint else None,
        command=tuple(application.get("ContainerArguments", ())),
        instance_type=request["ProcessingResources"]["ClusterConfig"]["InstanceType"],
        environment=request.get("Environment", {}),
        files=_files(ref, request),
        inputs=inputs,
        outputs=outputs,
        max_runtime_s=request.get("StoppingCondition", {}).get("MaxRuntimeInSeconds", DEFAULT_RUNTIME_S),
        isolated=request.get("NetworkConfig", {}).get("EnableNetworkIsolation", False),
    )


def _check_cluster(cluster: Mapping[str, Any]) -> None:
    for member in ("InstanceType", "InstanceCount"):
        if member not in cluster:
            raise validation_error(f"ClusterConfig needs an {member}.")
    refuse_read_only("ClusterConfig", cluster)


def _outputs(request: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    found: list[Mapping[str, Any]] = request.get("ProcessingOutputConfig", {}).get("Outputs", [])
    return found


def _input(given: Mapping[str, Any]) -> Input:
    name, source = given["InputName"], given.get("S3Input")
    if source is None:
        raise validation_error(f"The processing input '{name}' has no S3Input.")
    path = _path(source, f"processing input '{name}'")
    if source.get("S3CompressionType") == "Gzip":  # as AWS's model says of it; Pipe is refused before
        raise validation_error(f"The processing input '{name}': S3CompressionType Gzip needs the S3InputMode Pipe.")
    sharded = source.get("S3DataDistributionType") == "ShardedByS3Key"
    return Input(name, Source(source["S3Uri"], sharded, source["S3DataType"]), path)


def _output(given: Mapping[str, Any]) -> Output:
    name, target = given["OutputName"], given.get("S3Output")
    if target is None:
        raise validation_error(f"The processing output '{name}' has no S3Output.")
    path = _path(target, f"processing output '{name}'")
    return Output(name, target["S3Uri"].rstrip("/"), path, target["S3UploadMode"] == "Continuous")


def _path(member: Mapping[str, Any], words: str) -> str:
    given = member.get("LocalPath", "")
    path = PurePosixPath(given)
    if not path.is_relative_to(ROOT) or path == PurePosixPath(ROOT) or ".." in path.parts:
        raise validation_error(f"The LocalPath of the {words} must be a folder below {ROOT}, not '{given}'.")
    if not member["S3Uri"].startswith("s3://"):
        raise validation_error(f"The S3Uri of the {words} must begin with s3://, not '{member['S3Uri']}'.")
    return str(path)


def _refuse_twice(member: str, values: list[str]) -> None:
    """Names and the inputs' paths are unique: AWS refuses a repeated path, without a word why."""
    if twice := sorted({value for value in values if values.count(value) > 1}):
        raise validation_error(f"{member} names {', '.join(twice)} more than once.")


def _files(ref: Ref, request: Mapping[str, Any]) -> dict[str, dict[str, str]]:
    count = request["ProcessingResources"]["ClusterConfig"]["InstanceCount"]
    if count > MAX_HOSTS:
        sentence = f"A processing job runs at most {MAX_HOSTS} instances on one machine; {count} are asked for."
        raise ApiError("ResourceLimitExceeded", sentence)
    hosts = [f"algo-{number}" for number in range(1, count + 1)]
    job = json.dumps(_job_config(ref, request))
    return {
        host: {
            "config/processingjobconfig.json": job,
            "config/resourceconfig.json": json.dumps({"current_host": host, "hosts": sorted(hosts)}),
        }
        for host in hosts
    }


def _job_config(ref: Ref, request: Mapping[str, Any]) -> dict[str, Any]:
    """processingjobconfig.json: the request with its ARN. What is not set is null there."""
    application, cluster = request["AppSpecification"], request["ProcessingResources"]["ClusterConfig"]
    output = request.get("ProcessingOutputConfig")
    return {
        "ProcessingJobArn": ref.arn,
        "ProcessingJobName": ref.name,
        "AppSpecification": {
            "ImageUri": application["ImageUri"],
            "ContainerEntrypoint": application.get("ContainerEntrypoint"),
            "ContainerArguments": application.get("ContainerArguments"),
        },
        "Environment": request.get("Environment"),
        "ProcessingInputs": [_input_config(each) for each in request.get("ProcessingInputs", [])],
        "ProcessingOutputConfig": {
            "Outputs": [{"OutputName": o["OutputName"], "S3Output": o.get("S3Output")} for o in _outputs(request)],
            "KmsKeyId": (output or {}).get("KmsKeyId"),
        },
        "ProcessingResources": {"ClusterConfig": {"VolumeKmsKeyId": None, **cluster}},
        "RoleArn": request["RoleArn"],
        "StoppingCondition": {
            "MaxRuntimeInSeconds": request.get("StoppingCondition", {}).get("MaxRuntimeInSeconds", DEFAULT_RUNTIME_S)
        },
    }


def _input_config(given: Mapping[str, Any]) -> dict[str, Any]:
    source = {
        "S3DataDistributionType": "FullyReplicated",
        "S3InputMode": "File",
        "S3CompressionType": "None",
        "S3DownloadMode": "StartOfJob",
        **given.get("S3Input", {}),
    }
    return {"InputName": given["InputName"], "S3Input": source}


def _outermost(paths: Iterable[str]) -> list[str]:
    """Without repetitions and those that lie in others: their folders are seen through them."""
    found: list[str] = []
    for path in sorted(set(paths), key=lambda path: len(PurePosixPath(path).parts)):
        if not any(PurePosixPath(path).is_relative_to(outer) for outer in found):
            found.append(path)
    return found

"""The hosts of a training job, and the files of /opt/ml/input/config that each of them finds. Pure.

AWS source: "How Amazon SageMaker AI Provides Training Information" in the developer guide. The three files for a
checkpoint, debugger or TensorBoard configuration are as jobs on AWS have kept them, and as AWS's smdebug reads them.
"""

import json
from collections.abc import Mapping
from typing import Any

from stagemaker.core.errors import ApiError, validation_error
from stagemaker.runtime.contract import BASE

GROUP = "homogeneousCluster"  # what AWS calls the instance group of a job without InstanceGroups
MAX_HOSTS = 20  # (ours) of one job: one machine runs them all
CHECKPOINTS = f"{BASE}/checkpoints"  # unless CheckpointConfig.LocalPath is given
_TENSORS, _TENSORBOARD = f"{BASE}/output/tensors", f"{BASE}/output/tensorboard"  # AWS's defaults, as the one above
_CHANNEL_CONFIG = ("ContentType", "RecordWrapperType")


def hosts(request: Mapping[str, Any]) -> tuple[str, ...]:
    """Their names, by number. ValidationException without any, ResourceLimitExceeded above MAX_HOSTS."""
    resources = request.get("ResourceConfig", {})
    count = resources.get("InstanceCount", 0)
    if "InstanceType" not in resources or count < 1:
        raise validation_error("ResourceConfig needs an InstanceType and an InstanceCount of at least 1.")
    if count > MAX_HOSTS:
        sentence = f"A training job runs at most {MAX_HOSTS} instances on one machine; {count} are asked for."
        raise ApiError("ResourceLimitExceeded", sentence)
    return tuple(f"algo-{number}" for number in range(1, count + 1))


def config_files(request: Mapping[str, Any], host: str) -> dict[str, str]:
    """Path below /opt/ml -> text, for one of the `hosts`."""
    contents = {
        "hyperparameters": request.get("HyperParameters", {}),
        "inputdataconfig": {c["ChannelName"]: _channel(request, c) for c in request.get("InputDataConfig", [])},
        "resourceconfig": _resources(request, host),
        **_of_configs(request),
    }
    return {f"input/config/{name}.json": json.dumps(content) for name, content in contents.items()}


def _of_configs(request: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """The files that are there only when the request has their member."""
    contents: dict[str, dict[str, Any]] = {}
    if config := request.get("CheckpointConfig"):
        contents["checkpointconfig"] = {"LocalPath": config.get("LocalPath", CHECKPOINTS)}
    if config := request.get("DebugHookConfig"):
        unset = {"LocalPath": _TENSORS, "HookParameters": None, "CollectionConfigurations": None}
        contents["debughookconfig"] = {**unset, **config}
    if config := request.get("TensorBoardOutputConfig"):
        contents["tensorboardoutputconfig"] = {"LocalPath": _TENSORBOARD, **config}
    return contents


def _resources(request: Mapping[str, Any], host: str) -> dict[str, Any]:
    """AWS sorts the hosts as text: algo-10 stands before algo-2."""
    kind, names = request["ResourceConfig"]["InstanceType"], sorted(hosts(request))
    return {
        "current_host": host,
        "current_instance_type": kind,
        "current_group_name": GROUP,
        "hosts": names,
        "instance_groups": [{"instance_group_name": GROUP, "instance_type": kind, "hosts": names}],
        "network_interface_name": "eth0",
    }


def _channel(request: Mapping[str, Any], channel: Mapping[str, Any]) -> dict[str, str]:
    source = channel["DataSource"].get("S3DataSource", {})
    return {
        "TrainingInputMode": channel.get("InputMode", request["AlgorithmSpecification"]["TrainingInputMode"]),
        "S3DistributionType": source.get("S3DataDistributionType", "FullyReplicated"),
        **{"RecordWrapperType": "None", **{key: channel[key] for key in _CHANNEL_CONFIG if key in channel}},
    }

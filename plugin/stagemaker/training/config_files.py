"""The files of /opt/ml/input/config that each host of a training job finds. Pure.

AWS source: "How Amazon SageMaker AI Provides Training Information" in the developer guide. The three files for a
checkpoint, debugger or TensorBoard configuration are as jobs on AWS have kept them, and as AWS's smdebug reads them.
"""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from stagemaker.runtime.contract import BASE
from stagemaker.training.channels import Channel, input_mode
from stagemaker.training.instance_groups import InstanceGroup

CHECKPOINTS = f"{BASE}/checkpoints"  # unless CheckpointConfig.LocalPath is given
TENSORBOARD = f"{BASE}/output/tensorboard"  # unless TensorBoardOutputConfig.LocalPath is given
_TENSORS = f"{BASE}/output/tensors"  # AWS's default, as those above
_CHANNEL_CONFIG = ("ContentType", "RecordWrapperType")


def config_files(
    request: Mapping[str, Any], groups: Sequence[InstanceGroup], channels: Sequence[Channel], host: str
) -> dict[str, str]:
    """Path below /opt/ml -> text, for one host of the `groups`. It is told of the `channels` that it gets."""
    (group,) = (group for group in groups if host in group.hosts)
    given = {channel["ChannelName"]: channel for channel in request.get("InputDataConfig", [])}
    contents = {
        "hyperparameters": request.get("HyperParameters", {}),
        "inputdataconfig": {c.name: _channel(request, given[c.name]) for c in channels if c.is_for(group.name)},
        "resourceconfig": _resources(groups, group, host),
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
        contents["tensorboardoutputconfig"] = {"LocalPath": TENSORBOARD, **config}
    return contents


def _resources(groups: Sequence[InstanceGroup], group: InstanceGroup, host: str) -> dict[str, Any]:
    """AWS sorts the hosts as text: algo-10 stands before algo-2."""
    return {
        "current_host": host,
        "current_instance_type": group.instance_type,
        "current_group_name": group.name,
        "hosts": sorted(name for each in groups for name in each.hosts),
        "instance_groups": [
            {"instance_group_name": each.name, "instance_type": each.instance_type, "hosts": sorted(each.hosts)}
            for each in groups
        ],
        "network_interface_name": "eth0",
    }


def _channel(request: Mapping[str, Any], channel: Mapping[str, Any]) -> dict[str, str]:
    source = channel["DataSource"].get("S3DataSource", {})
    return {
        "TrainingInputMode": input_mode(request, channel),
        "S3DistributionType": source.get("S3DataDistributionType", "FullyReplicated"),
        **{"RecordWrapperType": "None", **{key: channel[key] for key in _CHANNEL_CONFIG if key in channel}},
    }

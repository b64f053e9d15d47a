"""The input channels of a training job. Pure.

AWS source: Channel and S3DataSource in the API reference, and "Access Training Data" in the developer guide. AWS
documents what it refuses, not in which words.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from stagemaker.core.errors import ApiError, validation_error
from stagemaker.jobs.sources import AUGMENTED_MANIFEST, FAST_FILE, FILE, PIPE, PREFIX, Source, s3_uri
from stagemaker.training.instance_groups import InstanceGroup


@dataclass(frozen=True)
class Channel:
    """What hosts find as `name` in /opt/ml/input/data: a folder of files, or with `is_pipe` FIFOs. `groups` are the
    names of the instance groups that get it; none: all."""

    name: str
    source: Source
    is_pipe: bool = False
    groups: tuple[str, ...] = ()

    def is_for(self, group: str) -> bool:
        """Whether the hosts of that instance group get it."""
        return not self.groups or group in self.groups


def channels(request: Mapping[str, Any], groups: Sequence[InstanceGroup]) -> tuple[Channel, ...]:
    """Raises ValidationException for what AWS would not take."""
    found = tuple(_channel(request, channel, groups) for channel in request.get("InputDataConfig", []))
    names = [channel.name for channel in found]
    if len(set(names)) < len(names):
        raise validation_error(f"InputDataConfig names a channel twice: {', '.join(names)}.")
    if {".", ".."} & set(names):
        raise validation_error("A channel cannot be called '.' or '..': its name is the name of a folder.")
    for piped in (channel.name for channel in found if channel.is_pipe):
        for name in names:
            if name.startswith(f"{piped}_") and name.removeprefix(f"{piped}_").isdecimal():
                raise validation_error(f"A channel cannot be called '{name}': it is the name of a FIFO of '{piped}'.")
    return found


def input_mode(request: Mapping[str, Any], channel: Mapping[str, Any]) -> str:
    """The channel's own, or that of the job."""
    mode: str = channel.get("InputMode", request["AlgorithmSpecification"]["TrainingInputMode"])
    return mode


def _channel(request: Mapping[str, Any], channel: Mapping[str, Any], groups: Sequence[InstanceGroup]) -> Channel:
    name, mode = channel["ChannelName"], input_mode(request, channel)
    s3 = channel["DataSource"].get("S3DataSource", {})
    if not s3:
        raise validation_error(f"Channel '{name}' has no DataSource.S3DataSource.")
    source = Source(
        uri=s3_uri(s3["S3Uri"]),
        sharded=s3.get("S3DataDistributionType") == "ShardedByS3Key",
        data_type=s3["S3DataType"],
        attributes=tuple(s3.get("AttributeNames", ())),
        seed=channel.get("ShuffleConfig", {}).get("Seed"),
        gzip=channel.get("CompressionType") == "Gzip",
        record_io=channel.get("RecordWrapperType") == "RecordIO",
    )
    _refuse_combinations(name, mode, source)
    named = tuple(s3.get("InstanceGroupNames", ()))
    if unknown := sorted(set(named) - {group.name for group in groups}):
        raise validation_error(f"Channel '{name}' names an instance group that there is not: {', '.join(unknown)}.")
    return Channel(name, source, mode == PIPE, named)


def _refuse_combinations(name: str, mode: str, source: Source) -> None:
    if mode != PIPE and source.gzip:
        raise _only_with_pipe(name, "CompressionType Gzip", mode)
    if mode != PIPE and source.record_io:
        raise _only_with_pipe(name, "RecordWrapperType RecordIO", mode)
    if mode != PIPE and source.data_type == AUGMENTED_MANIFEST:
        raise _only_with_pipe(name, f"S3DataType {AUGMENTED_MANIFEST}", mode)
    if mode == FAST_FILE and source.data_type != PREFIX:
        raise validation_error(f"Channel '{name}': input mode {FAST_FILE} takes S3DataType {PREFIX} only.")
    if (source.data_type == AUGMENTED_MANIFEST) != bool(source.attributes):
        raise validation_error(
            f"Channel '{name}': AttributeNames belong to S3DataType {AUGMENTED_MANIFEST}, and only to it."
        )


def _only_with_pipe(name: str, what: str, mode: str) -> ApiError:
    return validation_error(f"Channel '{name}': {what} needs the input mode {PIPE}, and this is {mode or FILE}.")

"""The instances of a training job: groups of hosts, each with an instance type of its own. Pure.

AWS source: ResourceConfig in the API reference, and "Train Using a Heterogeneous Cluster" in the developer guide.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from stagemaker.core.errors import ApiError, validation_error
from stagemaker.jobs.cluster import MAX_HOSTS, refuse_read_only

ONLY_GROUP = "homogeneousCluster"  # what AWS calls the group of a job without InstanceGroups


@dataclass(frozen=True)
class InstanceGroup:
    """Some of a job's hosts, in the order of their numbers."""

    name: str
    instance_type: str
    hosts: tuple[str, ...]


def instance_groups(request: Mapping[str, Any]) -> tuple[InstanceGroup, ...]:
    """At least one; the hosts `algo-1` to `algo-n` are numbered over all of them. ValidationException for what gives
    no instances, ResourceLimitExceeded above MAX_HOSTS."""
    given = _given(request.get("ResourceConfig", {}))
    total = sum(count for _, _, count in given)
    if total > MAX_HOSTS:
        sentence = f"A training job runs at most {MAX_HOSTS} instances on one machine; {total} are asked for."
        raise ApiError("ResourceLimitExceeded", sentence)
    groups, first = [], 1
    for name, instance_type, count in given:
        groups.append(InstanceGroup(name, instance_type, tuple(f"algo-{first + n}" for n in range(count))))
        first += count
    return tuple(groups)


def _given(resources: Mapping[str, Any]) -> list[tuple[str, str, int]]:
    """Name, instance type and number of instances of each group."""
    refuse_read_only("ResourceConfig", resources)
    several = resources.get("InstanceGroups")
    if not several:
        count = resources.get("InstanceCount", 0)
        if "InstanceType" not in resources or count < 1:
            raise validation_error("ResourceConfig needs an InstanceType and an InstanceCount of at least 1.")
        return [(ONLY_GROUP, resources["InstanceType"], count)]
    if "InstanceType" in resources or "InstanceCount" in resources:
        raise validation_error(
            "ResourceConfig takes either InstanceGroups or InstanceType and InstanceCount, not both."
        )
    names = [group["InstanceGroupName"] for group in several]
    if len(set(names)) < len(names):
        raise validation_error(f"ResourceConfig.InstanceGroups has a name twice: {', '.join(names)}.")
    if empty := [group["InstanceGroupName"] for group in several if group["InstanceCount"] < 1]:
        raise validation_error(f"The instance group '{empty[0]}' needs an InstanceCount of at least 1.")
    return [(g["InstanceGroupName"], g["InstanceType"], g["InstanceCount"]) for g in several]

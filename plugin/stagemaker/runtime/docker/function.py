"""What a container that runs a Lambda function has beyond others. Pure.

As on AWS: it runs as a user without rights, whatever its image says, on a file system that is read-only but for /tmp.
https://docs.aws.amazon.com/lambda/latest/dg/images-create.html, "Container image requirements".
"""

from collections.abc import Mapping
from typing import Any

_USER = "993:990"  # AWS's sbx_user1051
_PROCESSES = 1024  # https://docs.aws.amazon.com/lambda/latest/dg/gettingstarted-limits.html


def function_config(config: Mapping[str, Any], image: Mapping[str, Any]) -> dict[str, Any]:
    """`config` is the engine's ContainerCreate of any container, `image` the engine's record of its image."""
    own = image.get("Config") or {}
    temporary = {"Type": "volume", "Target": "/tmp", "VolumeOptions": {"Labels": config["Labels"]}}  # noqa: S108
    host = {
        **config["HostConfig"],
        "ReadonlyRootfs": True,
        "CapDrop": ["ALL"],
        "CapAdd": [],
        "PidsLimit": _PROCESSES,
        "LogConfig": {"Type": "none", "Config": {}},  # it is in CloudWatch
        "Mounts": [*config["HostConfig"]["Mounts"], temporary],
    }
    terminal = [] if any(entry.startswith("TERM=") for entry in config["Env"]) else ["TERM=dumb"]
    return {
        **config,
        "Cmd": config["Cmd"] or own.get("Cmd") or [],  # the engine drops it when it is given another entry point
        "User": _USER,
        "Env": [*config["Env"], *terminal],
        "Tty": True,
        "OpenStdin": True,
        "HostConfig": host,
    }


def peak_memory_bytes(stats: Mapping[str, Any]) -> int:
    """From the engine's ContainerStats. With control groups of version 2 it is what is used now, without the cache."""
    memory = stats.get("memory_stats") or {}
    if "max_usage" in memory:
        return int(memory["max_usage"])
    return max(int(memory.get("usage", 0)) - int((memory.get("stats") or {}).get("inactive_file", 0)), 0)

"""What the engine says that a container uses (ContainerStats). Pure."""

from collections.abc import Mapping
from typing import Any

from stagemaker.runtime.contract import Usage


def usage(stats: Mapping[str, Any]) -> Usage | None:
    """None of a container that has ended, of which the engine gives empty members."""
    memory = stats.get("memory_stats") or {}
    if "limit" not in memory or "usage" not in memory:
        return None
    more = memory.get("stats") or {}
    cache = more.get("total_inactive_file", more.get("inactive_file", 0))  # of control groups of version 1, and of 2
    return Usage(
        cpu_s=stats["cpu_stats"]["cpu_usage"]["total_usage"] / 1e9,
        memory_bytes=max(memory["usage"] - cache, 0),
        memory_limit_bytes=memory["limit"],
    )

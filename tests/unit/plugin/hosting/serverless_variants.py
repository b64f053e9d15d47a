"""Serverless endpoints for tests."""

from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager, suppress
from http.client import HTTPException
from typing import Any

from tests.unit.plugin.fakes import SCOPE
from tests.unit.plugin.hosting_environment import HostingEnvironment, until

HELD = b"work 600"  # until the container is told to go on


def variant(most: int = 5, kept: int = 0, memory_mb: int = 2048, **members: Any) -> dict[str, Any]:
    """A serverless variant of a configuration."""
    provisioned = {"ProvisionedConcurrency": kept} if kept else {}
    serverless = {"MemorySizeInMB": memory_mb, "MaxConcurrency": most, **provisioned}
    return {"VariantName": "AllTraffic", "ModelName": "model", "ServerlessConfig": serverless, **members}


def configure(hosting: HostingEnvironment, name: str = "config", **members: Any) -> None:
    """A configuration with one such variant."""
    request = {"EndpointConfigName": name, "ProductionVariants": [variant(**members)]}
    hosting.configs.create_endpoint_config(SCOPE, request)


def deploy(hosting: HostingEnvironment, **members: Any) -> None:
    """An endpoint "end" of a model "model", in service."""
    hosting.model("model")
    configure(hosting, **members)
    hosting.create()
    hosting.wait_for("InService")


def running(hosting: HostingEnvironment) -> int:
    """How many containers run."""
    return sum(container.running for container in hosting.runtime.containers)


def described(hosting: HostingEnvironment) -> dict[str, Any]:
    """What is said of the variant, but for its images and status."""
    (found,) = hosting.describe()["ProductionVariants"]
    return {name: value for name, value in found.items() if name not in ("DeployedImages", "VariantStatus")}


def release(hosting: HostingEnvironment) -> None:
    """Let every request that is held have its answer. What just ends, or does not listen, holds none."""
    for number, container in enumerate(hosting.runtime.containers):
        if container.running:
            with suppress(OSError, HTTPException):
                hosting.tell(b"go on", number)


@contextmanager
def held(hosting: HostingEnvironment, count: int) -> Iterator[list[Future[str]]]:
    """So many requests that have reached their containers, and get their answers at the end: who answered."""
    before = hosting.count_lines("got work")
    with ThreadPoolExecutor(count) as callers:
        calls = [callers.submit(hosting.container_of, HELD) for _ in range(count)]
        until(
            lambda: hosting.count_lines("got work") == before + count or any(call.done() for call in calls),
            f"{count} requests at once",
        )
        assert [call.result() for call in calls if call.done()] == []
        try:
            yield calls
        finally:
            release(hosting)

"""Looking at a rollout from outside, as DescribeEndpoint tells it, for tests that move the clock."""

from typing import Any

from tests.unit.plugin.fakes import FakeClock
from tests.unit.plugin.hosting_environment import Hosting, HostingEnvironment, until


def running(hosting: HostingEnvironment) -> int:
    """How many containers run."""
    return sum(container.running for container in hosting.runtime.containers)


def names_running(hosting: HostingEnvironment) -> set[str]:
    """The containers that run now."""
    return {each.spec.name for each in hosting.runtime.containers if each.running}


def pending(hosting: Hosting) -> dict[str, Any]:
    """The first variant of the fleet that comes; empty when there is none."""
    summary = hosting.describe().get("PendingDeploymentSummary", {"ProductionVariants": [{}]})
    return dict(summary["ProductionVariants"][0])


def message(variant: dict[str, Any]) -> str:
    """What VariantStatus says of it."""
    return str(variant.get("VariantStatus", [{"StatusMessage": ""}])[0]["StatusMessage"])


def is_baking(hosting: Hosting) -> bool:
    """Whether a bake has begun since the clock was last moved."""
    told = [(status["Status"], status.get("StartTime")) for status in pending(hosting).get("VariantStatus", ())]
    return told == [("Baking", hosting.now_s())]


def wait_for_bake(hosting: Hosting) -> str:
    """Until a bake has begun since the clock was last moved; what is said of it."""
    until(lambda: is_baking(hosting), "a bake")
    return message(pending(hosting))


def bake_to_the_end(hosting: Hosting, clock: FakeClock) -> None:
    """Move the clock on in each bake until the endpoint is in service."""
    while hosting.status() != "InService":
        clock.now += 60
        until(lambda: hosting.status() == "InService" or is_baking(hosting), "a bake, or the end")

"""Shadow variants over the fake runtime: who gets a copy, and that no caller notices."""

from pathlib import Path
from typing import Any

import pytest

from stagemaker.core.errors import ApiError
from stagemaker.hosting.shadow import DROPPED, MAX_SENT, MAX_WAITING, sampled_share
from tests.unit.plugin.fakes import SCOPE, FakeClock
from tests.unit.plugin.hosting.bakes import bake_to_the_end, wait_for_bake
from tests.unit.plugin.hosting.deployments import percent, rolling
from tests.unit.plugin.hosting_environment import IMAGE, HostingEnvironment, hosting_environment, until


def shadowed(hosting: HostingEnvironment, weight: float = 1.0, **container: Any) -> None:
    """An endpoint in service, whose shadow variant runs a model of its own."""
    hosting.model("model")
    hosting.model("candidate", **container)
    hosting.config("config", shadow={"ModelName": "candidate", "InitialVariantWeight": weight})
    hosting.create()
    hosting.wait_for("InService")


def copies(hosting: HostingEnvironment, text: str = "got ") -> int:
    """How many requests the shadow variant got."""
    lines = [lines for (_, stream), lines in [*hosting.logs.lines.items()] if stream.startswith("Shadow/")]
    return sum(text in line for some in lines for line in [*some])


def points(hosting: HostingEnvironment, metric: str) -> list[float]:
    """Of the shadow variant."""
    return [value for value, where in [*hosting.logs.points[metric]] if where["VariantName"] == "Shadow"]


@pytest.mark.parametrize(
    ("production", "shadow", "share"),
    [(1.0, 1.0, 1.0), (1.0, 0.5, 0.5), (4.0, 1.0, 0.25), (1.0, 3.0, 1.0), (1.0, 0.0, 0.0), (0.0, 1.0, 0.0)],
)
def test_the_share_is_the_ratio_of_the_weights(production: float, shadow: float, share: float) -> None:
    assert sampled_share(production, shadow) == share


def test_the_shadow_gets_copies_and_the_caller_the_production_variant_s_answer(tmp_path: Path) -> None:
    with hosting_environment(tmp_path) as hosting:
        shadowed(hosting)
        for number in range(10):
            answer = hosting.ask(f"hello {number}".encode(), ContentType="text/plain")
            assert answer["InvokedProductionVariant"] == "AllTraffic"
            until(lambda n=number: copies(hosting, f"got hello {n}") == 1, "the copy")  # type: ignore[misc]
        until(lambda: len(points(hosting, "Invocations")) == 10, "the metrics of the copies")
        assert points(hosting, "Invocation5XXErrors") == [0.0] * 10
        assert points(hosting, "InvocationsPerInstance") == [1.0] * 10
        with pytest.raises(ApiError, match="has no production variant Shadow"):
            hosting.ask(TargetVariant="Shadow")


def test_the_weights_say_how_many_are_copied_and_can_be_changed(tmp_path: Path) -> None:
    with hosting_environment(tmp_path) as hosting:
        shadowed(hosting, weight=0.25)
        for number in range(1, 11):
            for _ in range(4):
                hosting.ask()
            until(lambda n=number: len(points(hosting, "Invocations")) == n, "one of four")  # type: ignore[misc]
        hosting.scale({"VariantName": "Shadow", "DesiredWeight": 0.0})
        hosting.wait_for("InService")
        for _ in range(8):
            hosting.ask()
        hosting.scale({"VariantName": "Shadow", "DesiredWeight": 1.0})
        hosting.wait_for("InService")
        hosting.ask(b"the last")
        until(lambda: len(points(hosting, "Invocations")) == 11, "the next copy")
        assert (copies(hosting), copies(hosting, "got the last")) == (11, 1)


def test_a_shadow_that_never_answers_holds_nothing_up_and_drops_copies(tmp_path: Path) -> None:
    with hosting_environment(tmp_path) as hosting:
        shadowed(hosting, Environment={"STUCK": "1"})
        for _ in range(MAX_SENT):
            hosting.ask()
        until(lambda: copies(hosting) == MAX_SENT, "all copies on their way")
        for _ in range(MAX_WAITING + 5):
            hosting.ask()
        assert points(hosting, DROPPED) == [1.0] * 5
        assert copies(hosting) == MAX_SENT
        hosting.endpoints.delete_endpoint(SCOPE, {"EndpointName": "end"})
        hosting.wait_for("gone")
        until(lambda: not [name for name in hosting.supervisor.threads() if name.startswith("shadow ")], "no thread")
        assert hosting.left() == []


@pytest.mark.parametrize(("body", "status"), [(b"status 500", 500), (b"hang up", 0)])
def test_a_shadow_that_fails_is_seen_in_its_own_metrics_only(tmp_path: Path, body: bytes, status: int) -> None:
    with hosting_environment(tmp_path) as hosting:
        shadowed(hosting)
        with pytest.raises(ApiError):
            hosting.ask(body)  # both do as it says
        until(lambda: points(hosting, "Invocation5XXErrors") == [1.0], "the failure")
        assert (points(hosting, "InvocationModelErrors"), copies(hosting)) == ([1.0], 1)  # it is not sent again


def test_a_shadow_without_a_healthy_instance_gets_no_copies(tmp_path: Path) -> None:
    with hosting_environment(tmp_path, FakeClock()) as hosting:
        shadowed(hosting)
        number = next(n for n, spec in enumerate(hosting.runtime.started) if "Shadow" in stream_of(hosting, spec.name))
        hosting.tell(b"die", number)
        hosting.wait_for_line("restart 1 of 3")
        assert hosting.ask()["InvokedProductionVariant"] == "AllTraffic"
        until(lambda: points(hosting, DROPPED) == [1.0], "the dropped copy")


def stream_of(hosting: HostingEnvironment, container: str) -> str:
    """The log stream of a container."""
    instance = container[container.rindex("i-") :]
    return next(stream for _, stream in hosting.logs.lines if instance in stream)


def test_a_shadow_that_cannot_start_fails_the_endpoint(tmp_path: Path) -> None:
    with hosting_environment(tmp_path) as hosting:
        hosting.model("model")
        hosting.model("candidate", IMAGE.replace("serve", "dies"))
        hosting.config("config", shadow={"ModelName": "candidate"})
        hosting.create()
        hosting.wait_for("Failed")
        assert "variant Shadow did not pass the ping health check" in hosting.describe()["FailureReason"]


def test_shadow_variants_are_described_beside_the_others_and_updated_with_them(tmp_path: Path) -> None:
    clock = FakeClock()
    with hosting_environment(tmp_path, clock) as hosting:
        shadowed(hosting)
        (shadow,) = hosting.describe()["ShadowProductionVariants"]
        assert (shadow["VariantName"], shadow["CurrentInstanceCount"], shadow["CurrentWeight"]) == ("Shadow", 1, 1.0)
        hosting.config("next", {"InitialInstanceCount": 2}, shadow={"InitialInstanceCount": 2})
        hosting.update("next", rolling(percent(50), wait_s=60))
        wait_for_bake(hosting)
        pending = hosting.describe()["PendingDeploymentSummary"]
        assert pending["ProductionVariants"][0]["CurrentInstanceCount"] == 1
        assert pending["ShadowProductionVariants"][0]["CurrentInstanceCount"] == 2
        assert pending["ShadowProductionVariants"][0]["InstanceType"] == "ml.m5.large"
        bake_to_the_end(hosting, clock)
        assert hosting.describe()["ShadowProductionVariants"][0]["CurrentInstanceCount"] == 2
        hosting.config("plain")
        hosting.update("plain")
        hosting.wait_for("InService")
        assert "ShadowProductionVariants" not in hosting.describe()

"""What CloudWatch is told of an endpoint that nobody asks."""

import threading
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from stagemaker.core.errors import ApiError
from stagemaker.core.kinds import ENDPOINT, ENDPOINT_CONFIG
from stagemaker.core.refs import Ref
from stagemaker.hosting.endpoint_metrics import EndpointMetrics
from stagemaker.hosting.metering import Meter
from tests.unit.plugin.fakes import SCOPE, FakeClock
from tests.unit.plugin.hosting.serverless_variants import deploy, held
from tests.unit.plugin.hosting_environment import HostingEnvironment, hosting_environment, until

DIMENSIONS = {"EndpointName": "end", "VariantName": "AllTraffic"}


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock(1_800_000_000.0)


@pytest.fixture
def hosting(tmp_path: Path, clock: FakeClock) -> Iterator[HostingEnvironment]:
    with hosting_environment(tmp_path, clock) as made:
        made.deploy()
        yield made


def meter(hosting: HostingEnvironment, clock: FakeClock, minute_s: int = 60, ten_s: int = 10) -> Meter:
    return Meter(hosting.store, hosting.endpoints, hosting.logs, clock, minute_s, ten_s)


def test_a_minute_without_a_call_is_a_zero(hosting: HostingEnvironment, clock: FakeClock) -> None:
    one = meter(hosting, clock)
    clock.now += 59
    one.sample()
    assert hosting.logs.values["Invocations"] == []
    clock.now += 1
    one.sample()
    assert hosting.logs.points["Invocations"] == hosting.logs.points["InvocationsPerInstance"] == [(0.0, DIMENSIONS)]


def test_a_minute_with_a_call_has_no_zero(hosting: HostingEnvironment, clock: FakeClock) -> None:
    one = meter(hosting, clock)
    clock.now += 30
    metrics = EndpointMetrics(hosting.logs, clock, one.called)
    router = hosting.endpoints.router(Ref(SCOPE, ENDPOINT, "end"))
    assert router
    fleet = next(iter(router.shares))
    metrics.invocation(SCOPE, fleet, fleet.layout.variants[0], 200, instance="i-1", model_s=0.1, own_s=0.1)
    clock.now += 30
    one.sample()
    assert hosting.logs.values["Invocations"] == [1.0]
    clock.now += 60
    one.sample()
    assert hosting.logs.values["Invocations"] == [1.0, 0.0]


def test_calls_that_an_instance_has_are_told_as_their_mean_of_ten_seconds(
    hosting: HostingEnvironment, clock: FakeClock
) -> None:
    one = meter(hosting, clock)

    def ask() -> None:
        with suppress(ApiError):  # the server goes at the end
            hosting.ask(b"work 3600")

    threading.Thread(target=ask, daemon=True).start()
    hosting.wait_for_line("got work")
    for _ in range(5):
        clock.now += 1
        one.sample()
    assert hosting.logs.values["ConcurrentRequestsPerModel"] == []
    clock.now += 5
    one.sample()
    assert hosting.logs.points["ConcurrentRequestsPerModel"] == [(1.0, DIMENSIONS)]


def test_an_endpoint_that_is_gone_is_told_nothing_of(hosting: HostingEnvironment, clock: FakeClock) -> None:
    one = meter(hosting, clock, minute_s=1, ten_s=1)
    hosting.endpoints.delete_endpoint(SCOPE, {"EndpointName": "end"})
    hosting.wait_for("gone")
    clock.now += 1
    one.sample()
    assert hosting.logs.values["Invocations"] == []


def test_an_asynchronous_endpoint_is_told_nothing_of(hosting: HostingEnvironment, clock: FakeClock) -> None:
    one = meter(hosting, clock)
    output = {"OutputConfig": {"S3OutputPath": "s3://bucket/answers"}}
    hosting.store.update(Ref(SCOPE, ENDPOINT_CONFIG, "config"), AsyncInferenceConfig=output)
    clock.now += 60
    one.sample()
    assert hosting.logs.values == {}


def test_it_is_a_task_that_ends_with_its_supervisor(hosting: HostingEnvironment, clock: FakeClock) -> None:
    one = meter(hosting, clock)
    one.start(hosting.supervisor)
    clock.now += 60
    until(lambda: hosting.logs.values["Invocations"] == [0.0], "a zero")


def test_a_serverless_variant_that_nobody_calls_uses_none_of_its_concurrency(tmp_path: Path, clock: FakeClock) -> None:
    with hosting_environment(tmp_path, clock) as hosting:
        deploy(hosting, kept=2)
        hosting.logs.values.clear()
        one = meter(hosting, clock)
        clock.now += 60
        one.sample()
        assert {name: values for name, values in hosting.logs.values.items() if values} == {
            "Invocations": [0.0],
            "ServerlessConcurrentExecutionsUtilization": [0.0],
            "ServerlessProvisionedConcurrencyExecutions": [0.0],
            "ServerlessProvisionedConcurrencyUtilization": [0.0],
        }


def test_calls_of_a_serverless_variant_that_last_longer_than_a_minute_count_in_each(
    tmp_path: Path, clock: FakeClock
) -> None:
    with hosting_environment(tmp_path, clock) as hosting:
        deploy(hosting, most=4, kept=2)
        one = meter(hosting, clock)
        with held(hosting, 2):
            hosting.logs.values.clear()
            clock.now += 60
            one.sample()
            assert hosting.logs.values["ServerlessConcurrentExecutionsUtilization"] == [0.5]
            assert hosting.logs.values["ServerlessProvisionedConcurrencyUtilization"] == [1.0]

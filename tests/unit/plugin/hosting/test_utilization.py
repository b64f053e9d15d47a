"""What CloudWatch is told of what instances use."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from stagemaker.core.errors import ApiError
from stagemaker.hosting.metrics_config import EVERY_S, MetricsConfig, metrics_config
from stagemaker.hosting.utilization import Utilization
from stagemaker.runtime.contract import Usage
from tests.unit.plugin.fakes import SCOPE, FakeClock
from tests.unit.plugin.hosting.serverless_variants import configure
from tests.unit.plugin.hosting_environment import HostingEnvironment, hosting_environment, until

OF_THE_VARIANT = {"EndpointName": "end", "VariantName": "AllTraffic"}
GB = 1 << 30


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock(1_800_000_000.0)


@pytest.fixture
def hosting(tmp_path: Path, clock: FakeClock) -> Iterator[HostingEnvironment]:
    with hosting_environment(tmp_path, clock) as made:
        made.model("model")
        yield made


def serve(hosting: HostingEnvironment, instances: int = 1, **metrics: Any) -> Utilization:
    """An endpoint whose instances have just been seen for the first time."""
    variant = {"VariantName": "AllTraffic", "ModelName": "model", "InstanceType": "ml.m5.large", "VolumeSizeInGB": 1}
    request = {"EndpointConfigName": "config", "ProductionVariants": [{**variant, "InitialInstanceCount": instances}]}
    hosting.configs.create_endpoint_config(SCOPE, {**request, "MetricsConfig": metrics})
    hosting.create()
    hosting.wait_for("InService")
    made = Utilization(hosting.store, hosting.endpoints, hosting.logs, hosting.now_s)
    made.sample()
    return made


def test_a_core_that_is_busy_is_a_hundred_percent(hosting: HostingEnvironment, clock: FakeClock) -> None:
    utilization = serve(hosting)
    (container,) = hosting.runtime.containers
    container.uses = Usage(cpu_s=0.1 + 90, memory_bytes=GB // 4, memory_limit_bytes=GB)
    files = [path.stat().st_size for path in (container.spec.base_dir or Path()).rglob("*") if path.is_file()]
    assert sum(files) > 0
    clock.now += 59
    utilization.sample()
    assert hosting.logs.values["CPUUtilization"] == []
    clock.now += 1
    utilization.sample()
    assert hosting.logs.values["CPUUtilization"] == [pytest.approx(150.0)]
    assert hosting.logs.points["MemoryUtilization"] == [(25.0, OF_THE_VARIANT)]
    assert hosting.logs.values["DiskUtilization"] == [pytest.approx(100 * sum(files) / GB)]
    kinds = {hosting.logs.kinds[name] for name in ("CPUUtilization", "MemoryUtilization", "DiskUtilization")}
    assert kinds == {("/aws/sagemaker/Endpoints", "Percent")}
    assert "MetricsConfig" not in hosting.describe()


def test_each_instance_is_told_of_by_its_id_with_enhanced_metrics(
    hosting: HostingEnvironment, clock: FakeClock
) -> None:
    utilization = serve(hosting, 2, EnableEnhancedMetrics=True, MetricPublishFrequencyInSeconds=10)
    ids = {container.spec.name.removeprefix("end-") for container in hosting.runtime.containers}
    clock.now += 10
    utilization.sample()
    points = [dimensions for _, dimensions in hosting.logs.points["CPUUtilization"]]
    assert points.count(OF_THE_VARIANT) == 2
    assert {point["InstanceId"] for point in points if "InstanceId" in point} == ids
    assert len(points) == 4
    hosting.ask()
    points = [dimensions for _, dimensions in hosting.logs.points["Invocations"]]
    assert points[0] == OF_THE_VARIANT
    assert points[1] == {**OF_THE_VARIANT, "InstanceId": points[1]["InstanceId"]}
    assert points[1]["InstanceId"] in ids
    asked = {"EnableEnhancedMetrics": True, "MetricPublishFrequencyInSeconds": 10}
    assert hosting.describe()["MetricsConfig"] == asked


def test_each_container_is_told_of_with_direct_invocation(tmp_path: Path, clock: FakeClock) -> None:
    with hosting_environment(tmp_path, clock) as hosting:
        hosting.containers("model", {"ContainerHostname": "a"}, {"ContainerHostname": "b"}, mode="Direct")
        hosting.config("config")
        hosting.create()
        hosting.wait_for("InService")
        utilization = Utilization(hosting.store, hosting.endpoints, hosting.logs, clock)
        utilization.sample()
        for container in hosting.runtime.containers:
            busy_s = 30 if container.spec.name.endswith("-b") else 0
            container.uses = Usage(cpu_s=0.1 + busy_s, memory_bytes=GB // 4, memory_limit_bytes=GB)
        clock.now += 60
        utilization.sample()
        told = {point.get("ContainerName"): value for value, point in hosting.logs.points["CPUUtilization"]}
        assert told == {None: pytest.approx(50.0), "a": pytest.approx(0.0), "b": pytest.approx(50.0)}
        assert hosting.logs.values["MemoryUtilization"] == [50.0, 25.0, 25.0]
        assert len(hosting.logs.values["DiskUtilization"]) == 1


def test_a_container_that_was_started_anew_begins_a_new_period(hosting: HostingEnvironment, clock: FakeClock) -> None:
    utilization = serve(hosting)
    (container,) = hosting.runtime.containers
    container.uses = Usage(cpu_s=0.0, memory_bytes=GB // 4, memory_limit_bytes=GB)
    clock.now += 60
    utilization.sample()
    assert hosting.logs.values["CPUUtilization"] == []
    clock.now += 60
    utilization.sample()
    assert hosting.logs.values["CPUUtilization"] == [0.0]


def test_a_clock_that_is_set_back_begins_a_new_period(hosting: HostingEnvironment, clock: FakeClock) -> None:
    utilization = serve(hosting)
    clock.now -= 3600
    utilization.sample()
    assert hosting.logs.values["CPUUtilization"] == []
    clock.now += 60
    utilization.sample()
    assert hosting.logs.values["CPUUtilization"] == [0.0]


def test_it_is_a_task_that_ends_with_its_supervisor(hosting: HostingEnvironment, clock: FakeClock) -> None:
    utilization = serve(hosting)
    utilization.start(hosting.supervisor)
    clock.now += 60
    until(lambda: hosting.logs.values["MemoryUtilization"] != [], "what it uses")


def test_a_period_of_aws_is_shorter_where_time_is_compressed(hosting: HostingEnvironment, clock: FakeClock) -> None:
    serve(hosting)
    utilization = Utilization(hosting.store, hosting.endpoints, hosting.logs, clock, lambda aws_s: aws_s // 60)
    utilization.sample()
    clock.now += 1
    utilization.sample()
    assert len(hosting.logs.values["CPUUtilization"]) == 1


def test_of_a_serverless_variant_the_memory_is_told_as_aws_lists_it(
    hosting: HostingEnvironment, clock: FakeClock
) -> None:
    configure(hosting)
    hosting.create()
    hosting.wait_for("InService")
    utilization = Utilization(hosting.store, hosting.endpoints, hosting.logs, hosting.now_s)
    utilization.sample()
    hosting.runtime.containers[0].uses = Usage(cpu_s=9.0, memory_bytes=GB // 2, memory_limit_bytes=2 * GB)
    clock.now += 60
    utilization.sample()
    assert hosting.logs.points["MemoryUtilization"] == [(25.0, OF_THE_VARIANT)]
    assert hosting.logs.values["CPUUtilization"] == hosting.logs.values["DiskUtilization"] == []


def test_only_the_frequencies_of_aws_are_taken() -> None:
    assert metrics_config({}) == MetricsConfig(enhanced=False, every_s=60)
    taken = [metrics_config({"MetricsConfig": {"MetricPublishFrequencyInSeconds": every_s}}) for every_s in EVERY_S]
    assert [config.every_s for config in taken] == [10, 30, 60, 120, 180, 240, 300]
    with pytest.raises(ApiError, match="must be one of 10, 30, 60, 120, 180, 240, 300, not 20") as error:
        metrics_config({"MetricsConfig": {"MetricPublishFrequencyInSeconds": 20}})
    assert error.value.code == "ValidationException"

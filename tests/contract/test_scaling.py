"""Application Auto Scaling on a real LocalStack whose minutes take a second: a variant grows and shrinks."""

import io
import tarfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.contract.gateway import SERVER, Gateway, endpoint_gone, make_bucket, make_role, running, until

RESOURCE = {
    "ServiceNamespace": "sagemaker",
    "ResourceId": "endpoint/scaled/variant/all",
    "ScalableDimension": "sagemaker:variant:DesiredInstanceCount",
}
FACTOR = 60


@pytest.fixture(scope="module")
def fast(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    """A LocalStack of our own, with an endpoint `scaled` of one instance in service."""
    with running(tmp_path_factory.mktemp("fast"), STAGEMAKER_TIME_COMPRESSION=str(FACTOR)) as started:
        make_bucket(started, "data", {"model.tar.gz": _model()})
        role = make_role(started, "stage")
        sagemaker = started.client("sagemaker")
        container = {"Image": SERVER, "ModelDataUrl": "s3://data/model.tar.gz"}
        sagemaker.create_model(ModelName="scaled", PrimaryContainer=container, ExecutionRoleArn=role)
        sagemaker.create_endpoint_config(EndpointConfigName="scaled", ProductionVariants=[_variant()])
        sagemaker.create_endpoint(EndpointName="scaled", EndpointConfigName="scaled")
        until(lambda: _status(sagemaker), lambda status: status == "InService")
        yield started
        sagemaker.delete_endpoint(EndpointName="scaled")
        endpoint_gone(sagemaker, "scaled")


def _variant() -> dict[str, Any]:
    return {"VariantName": "all", "ModelName": "scaled", "InitialInstanceCount": 1, "InstanceType": "ml.m5.large"}


def _model() -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as tar:
        member = tarfile.TarInfo("weights.txt")
        member.size = 7
        tar.addfile(member, io.BytesIO(b"trained"))
    return buffer.getvalue()


def _status(sagemaker: Any) -> str:
    return str(sagemaker.describe_endpoint(EndpointName="scaled")["EndpointStatus"])


def _instances(sagemaker: Any) -> int:
    """That serve."""
    return int(sagemaker.describe_endpoint(EndpointName="scaled")["ProductionVariants"][0]["CurrentInstanceCount"])


@contextmanager
def load(gateway: Gateway, per_s: float) -> Iterator[None]:
    """Calls at a steady rate, whether or not the earlier ones were answered."""
    runtime, over = gateway.client("sagemaker-runtime"), threading.Event()

    def send() -> None:
        due_s = time.monotonic()
        while not over.wait(max(0.0, due_s - time.monotonic())):
            due_s += 1 / per_s
            runtime.invoke_endpoint(EndpointName="scaled", Body=b"hello")["Body"].read()

    sender = threading.Thread(target=send)
    sender.start()
    try:
        yield
    finally:
        over.set()
        sender.join()


def serving(gateway: Gateway) -> list[str]:
    """The command lines of the processes of the serving image that run now, without their keepers."""
    lines = (path.read_bytes() for path in Path("/proc").glob("[0-9]*/cmdline") if path.exists())
    folder = str(gateway.localstack.folder.parent).encode()
    return [line.decode() for line in lines if folder in line and b"/serve/serve" in line and b"keeper" not in line]


def activities(scaling: Any) -> list[dict[str, Any]]:
    """Of the endpoint's variant, the newest first."""
    found: list[dict[str, Any]] = scaling.describe_scaling_activities(**RESOURCE)["ScalingActivities"]
    return found


def test_a_variant_grows_under_load_and_shrinks_without(fast: Gateway) -> None:
    scaling, sagemaker = fast.client("application-autoscaling"), fast.client("sagemaker")
    scaling.register_scalable_target(**RESOURCE, MinCapacity=1, MaxCapacity=2)
    metric = {"PredefinedMetricType": "SageMakerVariantInvocationsPerInstance"}
    tracking = {"TargetValue": 5.0, "PredefinedMetricSpecification": metric, "ScaleInCooldown": 60}
    put = scaling.put_scaling_policy(
        **RESOURCE,
        PolicyName="track",
        PolicyType="TargetTrackingScaling",
        TargetTrackingScalingPolicyConfiguration=tracking,
    )
    with load(fast, 20):
        until(lambda: activities(scaling), lambda seen: seen and seen[0]["StatusCode"] == "Successful")
        assert _instances(sagemaker) == 2
        until(lambda: serving(fast), lambda processes: len(processes) == 2)
    done = until(
        lambda: activities(scaling), lambda seen: [each["StatusCode"] for each in seen] == ["Successful", "Successful"]
    )
    assert _instances(sagemaker) == 1
    until(lambda: serving(fast), lambda processes: len(processes) == 1)

    high, low = (alarm["AlarmName"] for alarm in put["Alarms"])
    for activity, count, alarm in zip(reversed(done), (2, 1), (high, low), strict=True):
        assert activity["Description"] == f"Setting desired instance count to {count}."
        assert activity["Cause"] == f"monitor alarm {alarm} in state ALARM triggered policy track"
        assert activity["StatusMessage"] == (
            f"Successfully set desired instance count to {count}. Change successfully fulfilled by sagemaker."
        )
        assert activity["Details"] == "Stagemaker: time is compressed 60 times: a minute of AWS takes 1 s."

    alarms = fast.client("cloudwatch").describe_alarms(AlarmNames=[high, low])["MetricAlarms"]
    shown = [(a["Threshold"], a["Period"], a["DatapointsToAlarm"], a["EvaluationPeriods"]) for a in alarms]
    assert shown == [(5.0, 60, 3, 3), (4.5, 60, 15, 15)]
    assert {alarm["AlarmActions"][0] for alarm in alarms} == {put["PolicyARN"]}
    assert alarms[1]["StateValue"] == "ALARM"
    assert all("time is compressed 60 times" in alarm["AlarmDescription"] for alarm in alarms)
    assert "not implemented, action" not in fast.log()


def test_a_target_gone_takes_its_policies_and_alarms_along(fast: Gateway) -> None:
    scaling, cloudwatch = fast.client("application-autoscaling"), fast.client("cloudwatch")
    assert len(scaling.describe_scaling_policies(ServiceNamespace="sagemaker")["ScalingPolicies"]) == 1
    scaling.deregister_scalable_target(**RESOURCE)
    assert scaling.describe_scaling_policies(ServiceNamespace="sagemaker")["ScalingPolicies"] == []
    until(lambda: cloudwatch.describe_alarms()["MetricAlarms"], lambda alarms: alarms == [])


def test_an_alarm_of_the_caller_scales_by_steps_and_a_schedule_sets_the_range(fast: Gateway) -> None:
    scaling, cloudwatch, sagemaker = (
        fast.client(name) for name in ("application-autoscaling", "cloudwatch", "sagemaker")
    )
    scaling.register_scalable_target(**RESOURCE, MinCapacity=1, MaxCapacity=2)
    step = {"MetricIntervalLowerBound": 0.0, "ScalingAdjustment": 1}
    arn = scaling.put_scaling_policy(
        **RESOURCE,
        PolicyName="step",
        PolicyType="StepScaling",
        StepScalingPolicyConfiguration={"AdjustmentType": "ChangeInCapacity", "StepAdjustments": [step]},
    )["PolicyARN"]
    cloudwatch.put_metric_alarm(
        AlarmName="backlog",
        Namespace="Mine",
        MetricName="Backlog",
        Statistic="Maximum",
        Period=60,
        EvaluationPeriods=1,
        Threshold=10.0,
        ComparisonOperator="GreaterThanThreshold",
        AlarmActions=[arn],
    )
    [policy] = scaling.describe_scaling_policies(ServiceNamespace="sagemaker")["ScalingPolicies"]
    assert [alarm["AlarmName"] for alarm in policy["Alarms"]] == ["backlog"]

    def tell() -> int:
        cloudwatch.put_metric_data(Namespace="Mine", MetricData=[{"MetricName": "Backlog", "Value": 50.0}])
        return _instances(sagemaker)

    until(tell, lambda count: count == 2)
    causes = [activity["Cause"] for activity in activities(scaling)]
    assert "monitor alarm backlog in state ALARM triggered policy step" in causes

    moment = datetime.now(UTC) + timedelta(seconds=2)
    scaling.put_scheduled_action(
        **RESOURCE,
        ScheduledActionName="night",
        Schedule=f"at({moment:%Y-%m-%dT%H:%M:%S})",
        ScalableTargetAction={"MinCapacity": 1, "MaxCapacity": 1},
    )
    until(lambda: _instances(sagemaker), lambda count: count == 1)
    causes = [activity["Cause"] for activity in activities(scaling)]
    assert "scheduled action name night was triggered" in causes
    assert "maximum capacity was set to 1" in causes


def test_a_scalable_variant_keeps_its_instance_type(fast: Gateway) -> None:
    sagemaker, scaling = fast.client("sagemaker"), fast.client("application-autoscaling")
    until(lambda: _status(sagemaker), lambda status: status == "InService")
    larger = {**_variant(), "InstanceType": "ml.m5.xlarge"}
    sagemaker.create_endpoint_config(EndpointConfigName="larger", ProductionVariants=[larger])
    with pytest.raises(ClientError, match=r'The variant\(s\) "\[all\]" must be deregistered as scalable targets'):
        sagemaker.update_endpoint(EndpointName="scaled", EndpointConfigName="larger")
    scaling.deregister_scalable_target(**RESOURCE)
    sagemaker.update_endpoint(EndpointName="scaled", EndpointConfigName="larger")
    until(lambda: _status(sagemaker), lambda status: status == "InService")

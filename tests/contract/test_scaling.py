"""Application Auto Scaling on a real LocalStack whose minutes take a second: a variant grows and shrinks."""

import io
import tarfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.contract.endpoints import in_service
from tests.contract.function_stack import FunctionStack
from tests.contract.gateway import SERVER, Gateway, endpoint_gone, make_bucket, make_role, running, until
from tests.contract.held_functions import BUCKET, create

RESOURCE = {
    "ServiceNamespace": "sagemaker",
    "ResourceId": "endpoint/scaled/variant/all",
    "ScalableDimension": "sagemaker:variant:DesiredInstanceCount",
}
FACTOR = 60


@pytest.fixture(scope="module")
def fast(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    """A LocalStack of our own, with an endpoint `scaled` of one instance in service."""
    folder = tmp_path_factory.mktemp("fast")
    with running(folder, STAGEMAKER_TIME_COMPRESSION=str(FACTOR)) as started:
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


def test_what_the_instances_use_is_told_to_cloudwatch(fast: Gateway) -> None:
    def told(name: str) -> list[float]:
        now = datetime.now(UTC)
        found = fast.client("cloudwatch").get_metric_statistics(
            Namespace="/aws/sagemaker/Endpoints",
            MetricName=name,
            Dimensions=[{"Name": "EndpointName", "Value": "scaled"}, {"Name": "VariantName", "Value": "all"}],
            StartTime=now - timedelta(hours=1),
            EndTime=now + timedelta(minutes=1),
            Period=60,
            Statistics=["Maximum"],
            Unit="Percent",
        )
        return [point["Maximum"] for point in found["Datapoints"]]

    for name in ("CPUUtilization", "MemoryUtilization", "DiskUtilization"):
        until(partial(told, name), lambda values: any(value > 0 for value in values))


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


def test_an_asynchronous_endpoint_goes_to_zero_and_comes_back_for_a_request(fast: Gateway) -> None:
    scaling, sagemaker, cloudwatch = (
        fast.client(name) for name in ("application-autoscaling", "sagemaker", "cloudwatch")
    )
    output = {"OutputConfig": {"S3OutputPath": "s3://data/answers"}}
    sagemaker.create_endpoint_config(
        EndpointConfigName="queued", ProductionVariants=[_variant()], AsyncInferenceConfig=output
    )
    sagemaker.create_endpoint(EndpointName="queued", EndpointConfigName="queued")
    until(
        lambda: sagemaker.describe_endpoint(EndpointName="queued")["EndpointStatus"],
        lambda status: status == "InService",
    )
    resource = {**RESOURCE, "ResourceId": "endpoint/queued/variant/all"}

    def current() -> int:
        [variant] = sagemaker.describe_endpoint(EndpointName="queued")["ProductionVariants"]
        return int(variant["CurrentInstanceCount"])

    scaling.register_scalable_target(**resource, MinCapacity=0, MaxCapacity=0)
    until(current, lambda count: count == 0)
    scaling.register_scalable_target(**resource, MinCapacity=0, MaxCapacity=1)
    step = {"MetricIntervalLowerBound": 0.0, "ScalingAdjustment": 1}
    arn = scaling.put_scaling_policy(
        **resource,
        PolicyName="from-zero",
        PolicyType="StepScaling",
        StepScalingPolicyConfiguration={"AdjustmentType": "ChangeInCapacity", "StepAdjustments": [step]},
    )["PolicyARN"]
    cloudwatch.put_metric_alarm(
        AlarmName="waiting",
        Namespace="AWS/SageMaker",
        MetricName="HasBacklogWithoutCapacity",
        Dimensions=[{"Name": "EndpointName", "Value": "queued"}],
        Statistic="Average",
        Period=60,
        EvaluationPeriods=2,
        Threshold=1.0,
        ComparisonOperator="GreaterThanOrEqualToThreshold",
        TreatMissingData="missing",
        AlarmActions=[arn],
    )
    runtime, s3 = fast.client("sagemaker-runtime"), fast.client("s3")
    s3.put_object(Bucket="data", Key="question", Body=b"hello")
    answer = runtime.invoke_endpoint_async(EndpointName="queued", InputLocation="s3://data/question")
    key = answer["OutputLocation"].removeprefix("s3://data/")
    until(
        lambda: [each["Key"] for each in s3.list_objects_v2(Bucket="data", Prefix="answers/").get("Contents", [])],
        lambda keys: key in keys,
    )
    assert s3.get_object(Bucket="data", Key=key)["Body"].read() == b"trained hello"
    assert current() == 1
    until(
        lambda: sagemaker.describe_endpoint(EndpointName="queued")["EndpointStatus"],
        lambda status: status == "InService",
    )
    sagemaker.delete_endpoint(EndpointName="queued")
    endpoint_gone(sagemaker, "queued")
    there = scaling.describe_scalable_targets(ServiceNamespace="sagemaker", ResourceIds=[resource["ResourceId"]])
    assert there["ScalableTargets"] == []


def test_the_provisioned_concurrency_of_an_alias_follows_its_use(fast: Gateway) -> None:
    stack = FunctionStack(fast.localstack)
    fast.localstack.client("s3").create_bucket(Bucket=BUCKET)
    create(stack, "scaled")
    scaling, cloudwatch = (fast.localstack.client(name) for name in ("application-autoscaling", "cloudwatch"))
    alias = {
        "ServiceNamespace": "lambda",
        "ResourceId": "function:scaled:live",
        "ScalableDimension": "lambda:function:ProvisionedConcurrency",
    }
    with pytest.raises(ClientError, match="The resource is not there, or not in service"):
        scaling.register_scalable_target(
            **{**alias, "ResourceId": "function:scaled:none"}, MinCapacity=1, MaxCapacity=2
        )
    scaling.register_scalable_target(**alias, MinCapacity=1, MaxCapacity=2)

    def provided() -> tuple[str, int]:
        found = stack.functions.get_provisioned_concurrency_config(FunctionName="scaled", Qualifier="live")
        return found["Status"], found["RequestedProvisionedConcurrentExecutions"]

    def done() -> list[str]:
        found = scaling.describe_scaling_activities(**alias)["ScalingActivities"]
        return [activity["StatusMessage"] for activity in found if activity["StatusCode"] == "Successful"]

    first = until(done, bool)
    assert first == ["Successfully set desired concurrency to 1. Change successfully fulfilled by lambda."]
    assert provided() == ("READY", 1)
    metric = {"PredefinedMetricType": "LambdaProvisionedConcurrencyUtilization"}
    scaling.put_scaling_policy(
        **alias,
        PolicyName="track",
        PolicyType="TargetTrackingScaling",
        TargetTrackingScalingPolicyConfiguration={"TargetValue": 0.5, "PredefinedMetricSpecification": metric},
    )
    dimensions = [{"Name": "FunctionName", "Value": "scaled"}, {"Name": "Resource", "Value": "scaled:live"}]
    datum = {"MetricName": "ProvisionedConcurrencyUtilization", "Dimensions": dimensions, "Value": 1.0}

    def use() -> int:
        cloudwatch.put_metric_data(Namespace="AWS/Lambda", MetricData=[datum])
        return len(done())

    until(use, lambda count: count == 2)
    assert provided() == ("READY", 2)
    scaling.register_scalable_target(**alias, MinCapacity=0, MaxCapacity=0)
    until(done, lambda messages: len(messages) == 3)
    with pytest.raises(stack.functions.exceptions.ProvisionedConcurrencyConfigNotFoundException):
        provided()


def test_errors_have_the_codes_and_members_of_aws(fast: Gateway) -> None:
    scaling = fast.client("application-autoscaling")
    arn = "arn:aws:application-autoscaling:eu-west-1:000000000000:scalable-target/none"
    with pytest.raises(scaling.exceptions.ResourceNotFoundException) as missing:
        scaling.list_tags_for_resource(ResourceARN=arn)
    assert missing.value.response["ResourceName"] == arn
    with pytest.raises(scaling.exceptions.InvalidNextTokenException):
        scaling.describe_scalable_targets(ServiceNamespace="sagemaker", NextToken="none")
    with pytest.raises(scaling.exceptions.ObjectNotFoundException):
        scaling.deregister_scalable_target(**{**RESOURCE, "ResourceId": "endpoint/none/variant/all"})
    moments = {"StartTime": datetime.now(UTC), "EndTime": datetime.now(UTC)}
    missing_parts = (
        partial(scaling.describe_scalable_targets, ServiceNamespace="ecs"),
        partial(scaling.get_predictive_scaling_forecast, **RESOURCE, PolicyName="p", **moments),
    )
    for call in missing_parts:
        with pytest.raises(ClientError) as refused:
            call()
        assert refused.value.response["ResponseMetadata"]["HTTPStatusCode"] == 501


def test_a_metric_has_exactly_the_dimensions_that_are_asked_for(fast: Gateway) -> None:
    cloudwatch = fast.client("cloudwatch")
    for names in (["a"], ["ab"], ["a", "b"]):
        dimensions = [{"Name": f"Name{place}", "Value": value} for place, value in enumerate(names)]
        datum = {"MetricName": "Exact", "Dimensions": dimensions, "Value": 1.0}
        cloudwatch.put_metric_data(Namespace="Mine", MetricData=[datum])
    now = datetime.now(UTC)
    found = cloudwatch.get_metric_statistics(
        Namespace="Mine",
        MetricName="Exact",
        Dimensions=[{"Name": "Name0", "Value": "a"}],
        StartTime=now - timedelta(hours=1),
        EndTime=now + timedelta(hours=1),
        Period=7200,
        Statistics=["Sum"],
    )
    assert [point["Sum"] for point in found["Datapoints"]] == [1.0]
    assert len(cloudwatch.list_metrics(Namespace="Mine", MetricName="Exact")["Metrics"]) == 3


def test_localstack_still_evaluates_the_alarms_that_scale_nothing(fast: Gateway) -> None:
    cloudwatch = fast.client("cloudwatch")
    cloudwatch.put_metric_alarm(
        AlarmName="plain",
        Namespace="Mine",
        MetricName="None",
        Statistic="Sum",
        Period=10,
        EvaluationPeriods=1,
        Threshold=1.0,
        ComparisonOperator="GreaterThanThreshold",
        TreatMissingData="breaching",
    )
    until(
        lambda: cloudwatch.describe_alarms(AlarmNames=["plain"])["MetricAlarms"][0]["StateValue"],
        lambda state: state == "ALARM",
    )


def serverless(fast: Gateway, name: str, **config: int) -> dict[str, Any]:
    """A serverless endpoint in service; its scalable resource."""
    sagemaker = fast.client("sagemaker")
    variant = {"VariantName": "all", "ModelName": "scaled", "ServerlessConfig": {"MemorySizeInMB": 1024, **config}}
    sagemaker.create_endpoint_config(EndpointConfigName=name, ProductionVariants=[variant])
    sagemaker.create_endpoint(EndpointName=name, EndpointConfigName=name)
    in_service(sagemaker, name)
    resource = {**RESOURCE, "ResourceId": f"endpoint/{name}/variant/all"}
    return {**resource, "ScalableDimension": "sagemaker:variant:DesiredProvisionedConcurrency"}


def test_an_idle_serverless_endpoint_has_no_process_and_the_next_call_starts_one(fast: Gateway) -> None:
    resource = serverless(fast, "idle", MaxConcurrency=1)
    runtime = fast.client("sagemaker-runtime")

    def ask() -> int:
        body = b'python import os; self.answer(200, b"%d" % os.getpid())'
        return int(runtime.invoke_endpoint(EndpointName="idle", Body=body)["Body"].read())

    pid = ask()
    until(lambda: Path(f"/proc/{pid}").exists(), lambda is_there: not is_there)
    assert ask() != pid
    with pytest.raises(ClientError, match="The resource is not there"):
        fast.client("application-autoscaling").register_scalable_target(**resource, MinCapacity=1, MaxCapacity=2)
    fast.client("sagemaker").delete_endpoint(EndpointName="idle")
    endpoint_gone(fast.client("sagemaker"), "idle")


def test_provisioned_concurrency_grows_with_its_use(fast: Gateway) -> None:
    resource = serverless(fast, "provisioned", MaxConcurrency=4, ProvisionedConcurrency=1)
    scaling, sagemaker = fast.client("application-autoscaling"), fast.client("sagemaker")
    over = threading.Event()

    def kept() -> int:
        [variant] = sagemaker.describe_endpoint(EndpointName="provisioned")["ProductionVariants"]
        return int(variant["CurrentServerlessConfig"].get("ProvisionedConcurrency", 0))

    def call() -> None:
        runtime = fast.client("sagemaker-runtime")
        while not over.is_set():
            body = b"python import time; time.sleep(0.1); self.answer(200, b'')"
            runtime.invoke_endpoint(EndpointName="provisioned", Body=body)["Body"].read()

    scaling.register_scalable_target(**resource, MinCapacity=1, MaxCapacity=2)
    metric = {"PredefinedMetricType": "SageMakerVariantProvisionedConcurrencyUtilization"}
    tracking = {"TargetValue": 0.5, "PredefinedMetricSpecification": metric}
    scaling.put_scaling_policy(
        **resource,
        PolicyName="track",
        PolicyType="TargetTrackingScaling",
        TargetTrackingScalingPolicyConfiguration=tracking,
    )
    caller = threading.Thread(target=call)
    caller.start()
    try:
        until(kept, lambda count: count == 2)
    finally:
        over.set()
        caller.join()
    activities = scaling.describe_scaling_activities(**resource)["ScalingActivities"]
    assert "Setting desired provisioned concurrency to 2." in [each["Description"] for each in activities]
    sagemaker.delete_endpoint(EndpointName="provisioned")
    endpoint_gone(sagemaker, "provisioned")
    assert (
        scaling.describe_scalable_targets(ServiceNamespace="sagemaker", ResourceIds=[resource["ResourceId"]])[
            "ScalableTargets"
        ]
        == []
    )

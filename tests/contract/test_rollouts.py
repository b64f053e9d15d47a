"""Deployment policies and shadow variants on a real LocalStack, under calls by boto3 whose count must add up."""

import io
import re
import tarfile
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.contract.endpoints import in_service
from tests.contract.gateway import SERVER, Gateway, until

NAME = "rollouts"
HALF = {"Type": "CAPACITY_PERCENT", "Value": 50}
CALLERS = 3


class Calls:
    """Callers that ask one request after the other. `answers` are the versions that answered, `failures` the codes."""

    def __init__(self, gateway: Gateway) -> None:
        self.sent, self.answers, self.failures = 0, list[str](), list[str]()
        self._gateway, self._lock, self._enough = gateway, threading.Lock(), threading.Event()
        self._threads = [threading.Thread(target=self._ask_on, daemon=True) for _ in range(CALLERS)]

    def start(self) -> None:
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        """After the answer to the last request."""
        self._enough.set()
        for thread in self._threads:
            thread.join()

    def wait_for(self, version: str) -> None:
        """Until one more request was answered by it."""
        before = len(self.answers)
        until(lambda: version in self.answers[before:], bool)

    def _ask_on(self) -> None:
        runtime = self._gateway.client("sagemaker-runtime")
        while not self._enough.is_set():
            with self._lock:
                self.sent += 1
            try:
                self.answers.append(ask(runtime))
            except ClientError as error:
                self.failures.append(error.response["Error"]["Code"])


def ask(runtime: Any, body: bytes = b"hello") -> str:
    """The version of the model that answers."""
    answer = runtime.invoke_endpoint(EndpointName=NAME, Body=body, ContentType="text/plain")
    return str(answer["Body"].read().decode().partition(" ")[0])


@contextmanager
def calls(gateway: Gateway) -> Iterator[Calls]:
    """That go on meanwhile."""
    made = Calls(gateway)
    made.start()
    try:
        yield made
    finally:
        made.stop()


def make_model(gateway: Gateway, role: str, version: str) -> None:
    """Its answers begin with the version."""
    data = io.BytesIO()
    with tarfile.open(fileobj=data, mode="w:gz") as archive:
        member = tarfile.TarInfo("weights.txt")
        member.size = len(version)
        archive.addfile(member, io.BytesIO(version.encode()))
    key = f"{NAME}-{version}.tar.gz"
    gateway.client("s3").put_object(Bucket="data", Key=key, Body=data.getvalue())
    container = {"Image": SERVER, "ModelDataUrl": f"s3://data/{key}"}
    sagemaker = gateway.client("sagemaker")
    sagemaker.create_model(ModelName=f"{NAME}-{version}", ExecutionRoleArn=role, PrimaryContainer=container)


def variant(version: str, instances: int = 2, name: str = "a") -> dict[str, Any]:
    """Of a configuration."""
    model = {"VariantName": name, "ModelName": f"{NAME}-{version}", "InstanceType": "ml.m5.large"}
    return {**model, "InitialInstanceCount": instances}


@pytest.fixture(scope="module")
def sagemaker(gateway: Gateway, role: str) -> Iterator[Any]:
    """With an endpoint of two instances, and a configuration for each of two versions."""
    client = gateway.client("sagemaker")
    for version in ("v1", "v2"):
        make_model(gateway, role, version)
        client.create_endpoint_config(EndpointConfigName=f"{NAME}-{version}", ProductionVariants=[variant(version)])
    client.create_endpoint(EndpointName=NAME, EndpointConfigName=f"{NAME}-v1")
    in_service(client, NAME)
    yield client
    client.delete_endpoint(EndpointName=NAME)


def blue_green(kind: str, **routing: Any) -> dict[str, Any]:
    """With waits of a second."""
    traffic = {"Type": kind, "WaitIntervalInSeconds": 1, **routing}
    return {"BlueGreenUpdatePolicy": {"TrafficRoutingConfiguration": traffic, "TerminationWaitInSeconds": 1}}


def test_no_policy_loses_a_request(gateway: Gateway, sagemaker: Any) -> None:
    policies = (
        blue_green("ALL_AT_ONCE"),
        blue_green("CANARY", CanarySize=HALF),
        blue_green("LINEAR", LinearStepSize=HALF),
        {"RollingUpdatePolicy": {"MaximumBatchSize": HALF, "WaitIntervalInSeconds": 1}},
    )
    with calls(gateway) as made:
        for number, policy in enumerate(policies):
            made.wait_for(f"v{number % 2 + 1}")
            version = f"v{(number + 1) % 2 + 1}"
            sagemaker.update_endpoint(
                EndpointName=NAME, EndpointConfigName=f"{NAME}-{version}", DeploymentConfig=policy
            )
            in_service(sagemaker, NAME)
            described = sagemaker.describe_endpoint(EndpointName=NAME)
            assert described["EndpointConfigName"] == f"{NAME}-{version}"
            assert described["LastDeploymentConfig"] == policy
            made.wait_for(version)
    assert made.failures == []
    assert made.sent == len(made.answers)


def pending_status(sagemaker: Any) -> dict[str, Any]:
    """Of the variant that is to come."""
    summary = sagemaker.describe_endpoint(EndpointName=NAME)["PendingDeploymentSummary"]
    return dict(summary["ProductionVariants"][0]["VariantStatus"][0])


def refuses_changes(sagemaker: Any) -> None:
    """As long as one goes on."""
    weights = {"DesiredWeightsAndCapacities": [{"VariantName": "a", "DesiredWeight": 2.0}]}
    for call, more in (
        (sagemaker.update_endpoint, {"EndpointConfigName": f"{NAME}-v2"}),
        (sagemaker.update_endpoint_weights_and_capacities, weights),
        (sagemaker.delete_endpoint, {}),
    ):
        with pytest.raises(ClientError, match="Cannot update in-progress endpoint"):
            call(EndpointName=NAME, **more)


def test_an_alarm_on_the_new_fleet_alone_rolls_it_back(gateway: Gateway, sagemaker: Any) -> None:
    """As docs/rollouts.md has it, with an alarm that CloudWatch evaluates every 10 s and not every minute."""
    runtime = gateway.client("sagemaker-runtime")
    assert ask(runtime) == "v1"
    page = (Path(__file__).parents[2] / "docs" / "rollouts.md").read_text()
    (program,) = re.findall(r"```python\n(.*?)```", page, re.DOTALL)
    clients = {"sagemaker": sagemaker, "cloudwatch": gateway.client("cloudwatch")}
    exec(  # noqa: S102 - what a reader would run
        program.replace("Period=60", "Period=10"),
        {**clients, "endpoint": NAME, "variant": "a", "candidate": f"{NAME}-v2"},
    )
    until(lambda: pending_status(sagemaker), lambda status: status["Status"] == "Baking")
    assert pending_status(sagemaker)["StatusMessage"] == (
        "Baking for 600 seconds (WaitIntervalInSeconds) with traffic enabled on canary capacity of 1 instance(s)."
    )
    assert isinstance(pending_status(sagemaker)["StartTime"], datetime)
    refuses_changes(sagemaker)

    def rolled_back() -> bool:
        with pytest.raises(ClientError):
            ask(runtime, b"broken")
        time.sleep(0.1)
        return bool(sagemaker.describe_endpoint(EndpointName=NAME)["EndpointStatus"] == "InService")

    with calls(gateway) as made:
        until(rolled_back, bool)
        made.wait_for("v1")
    assert made.failures == []
    assert Counter(made.answers).keys() == {"v1", "v2"}
    assert made.sent == len(made.answers)
    described = sagemaker.describe_endpoint(EndpointName=NAME)
    assert f"{NAME}-errors" in described["FailureReason"]
    assert described["EndpointConfigName"] == f"{NAME}-v1"
    assert {ask(runtime) for _ in range(4)} == {"v1"}


def test_a_shadow_variant_gets_copies(gateway: Gateway, sagemaker: Any) -> None:
    config = f"{NAME}-shadow"
    sagemaker.create_endpoint_config(
        EndpointConfigName=config,
        ProductionVariants=[variant("v1", 1)],
        ShadowProductionVariants=[{**variant("v2", 1, "shadow"), "InitialVariantWeight": 0.5}],
    )
    sagemaker.update_endpoint(EndpointName=NAME, EndpointConfigName=config)
    in_service(sagemaker, NAME)
    described = sagemaker.describe_endpoint(EndpointName=NAME)
    assert described["ShadowProductionVariants"][0]["CurrentInstanceCount"] == 1
    runtime = gateway.client("sagemaker-runtime")
    assert {ask(runtime) for _ in range(20)} == {"v1"}

    def copies() -> float:
        now = time.time()
        found = gateway.client("cloudwatch").get_metric_statistics(
            Namespace="AWS/SageMaker",
            MetricName="Invocations",
            Dimensions=[{"Name": "EndpointName", "Value": NAME}, {"Name": "VariantName", "Value": "shadow"}],
            StartTime=now - 3600,
            EndTime=now + 60,
            Period=60,
            Statistics=["Sum"],
        )
        return float(sum(point["Sum"] for point in found["Datapoints"]))

    until(copies, lambda count: count >= 10)
    assert copies() == 10


def test_a_shadow_test_is_not_implemented(sagemaker: Any, role: str) -> None:
    machines = {"InstanceType": "ml.m5.large", "InstanceCount": 1}
    infrastructure = {"InfrastructureType": "RealTimeInference", "RealTimeInferenceConfig": machines}
    model = {"ModelName": f"{NAME}-v1", "InfrastructureConfig": infrastructure}
    with pytest.raises(ClientError, match="CreateInferenceExperiment") as error:
        sagemaker.create_inference_experiment(
            Name=NAME,
            Type="ShadowMode",
            RoleArn=role,
            EndpointName=NAME,
            ModelVariants=[{**model, "VariantName": name} for name in ("a", "shadow")],
            ShadowModeConfig={
                "SourceModelVariantName": "a",
                "ShadowModelVariants": [{"ShadowModelVariantName": "shadow", "SamplingPercentage": 50}],
            },
        )
    assert error.value.response["ResponseMetadata"]["HTTPStatusCode"] == 501

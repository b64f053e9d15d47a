"""A serverless endpoint on a real LocalStack: processes come with requests, and no more than MaxConcurrency."""

import os
import signal
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.contract.endpoints import in_service
from tests.contract.gateway import SERVER, Gateway, endpoint_gone, until

NAME = "serverless"
PID = b'python import os; self.answer(200, b"%d" % os.getpid())'
HELD = """python import os, time
open({began!r}, "w").close()
while not os.path.exists({go!r}): time.sleep(0.02)
self.answer(200, b"%d" % os.getpid())
"""


def variant(most: int = 2, memory_mb: int = 1024, **members: Any) -> dict[str, Any]:
    serverless = {"MemorySizeInMB": memory_mb, "MaxConcurrency": most}
    return {"VariantName": "all", "ModelName": NAME, "ServerlessConfig": serverless, **members}


def runs(pid: int) -> bool:
    """Whether there is such a process; none that has ended counts."""
    try:
        return "State:\tZ" not in Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return False


class Serverless:
    """The endpoint, and the calls that a test makes."""

    def __init__(self, gateway: Gateway, folder: Path) -> None:
        self.gateway, self.folder = gateway, folder
        self.sagemaker, self._runtime = gateway.client("sagemaker"), gateway.client("sagemaker-runtime")
        self._go = folder / "go"

    def ask(self, body: bytes | str = PID) -> int:
        """The process that answers."""
        return int(self._runtime.invoke_endpoint(EndpointName=NAME, Body=body)["Body"].read())

    def described(self) -> dict[str, Any]:
        (found,) = self.sagemaker.describe_endpoint(EndpointName=NAME)["ProductionVariants"]
        return dict(found)

    @contextmanager
    def held(self, count: int) -> Iterator[list[Future[int]]]:
        """So many requests that have reached their processes, and get their answers at the end."""
        began = [self.folder / f"began-{number}" for number in range(count)]
        with ThreadPoolExecutor(count) as callers:
            calls = [callers.submit(self.ask, HELD.format(began=str(path), go=str(self._go))) for path in began]
            try:
                until(lambda: [path.exists() or call.done() for path, call in zip(began, calls, strict=True)], all)
                assert [call.result() for call in calls if call.done()] == []
                yield calls
            finally:
                self._go.touch()
        self._go.unlink()
        for path in began:
            path.unlink()

    def told(self, metric: str, statistic: str = "Maximum") -> list[float]:
        """The points of a metric of the variant so far."""
        now = datetime.now(UTC)
        found = self.gateway.client("cloudwatch").get_metric_statistics(
            Namespace="AWS/SageMaker",
            MetricName=metric,
            Dimensions=[{"Name": "EndpointName", "Value": NAME}, {"Name": "VariantName", "Value": "all"}],
            StartTime=now - timedelta(hours=1),
            EndTime=now + timedelta(minutes=1),
            Period=60,
            Statistics=[statistic],
        )
        return [point[statistic] for point in found["Datapoints"]]


@pytest.fixture(scope="module")
def serverless(gateway: Gateway, role: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Serverless]:
    made = Serverless(gateway, tmp_path_factory.mktemp(NAME))
    gateway.client("s3").put_object(Bucket="data", Key=f"{NAME}/weights.txt", Body=b"trained")
    source = {"S3Uri": f"s3://data/{NAME}/", "S3DataType": "S3Prefix", "CompressionType": "None"}
    container = {"Image": SERVER, "ModelDataSource": {"S3DataSource": source}}
    made.sagemaker.create_model(ModelName=NAME, ExecutionRoleArn=role, PrimaryContainer=container)
    made.sagemaker.create_endpoint_config(EndpointConfigName=NAME, ProductionVariants=[variant()])
    made.sagemaker.create_endpoint(EndpointName=NAME, EndpointConfigName=NAME)
    in_service(made.sagemaker, NAME)
    yield made
    made.sagemaker.delete_endpoint(EndpointName=NAME)
    endpoint_gone(made.sagemaker, NAME)


def test_each_request_has_a_process_to_itself_and_the_rest_is_throttled(serverless: Serverless) -> None:
    first = serverless.ask()
    assert serverless.described()["CurrentServerlessConfig"] == {"MemorySizeInMB": 1024, "MaxConcurrency": 2}
    with serverless.held(2) as calls:
        with pytest.raises(ClientError) as error:
            serverless.ask()
        assert error.value.response["Error"]["Code"] == "ThrottlingException"
        assert error.value.response["ResponseMetadata"]["HTTPStatusCode"] == 400
    pids = {call.result() for call in calls}
    assert len(pids) == 2
    assert first in pids
    until(lambda: serverless.told("ServerlessConcurrentExecutionsUtilization"), lambda told: max(told, default=0) == 1)
    until(lambda: serverless.told("ModelSetupTime"), lambda told: max(told, default=0) > 0)


def test_a_process_that_dies_with_its_request_is_replaced_by_the_next_request(serverless: Serverless) -> None:
    pid = serverless.ask()
    with pytest.raises(ClientError) as error:
        serverless.ask(b"python import os; os._exit(7)")
    assert error.value.response["Error"]["Code"] == "ModelError"
    until(lambda: runs(pid), lambda is_there: not is_there)
    assert serverless.ask() != pid


def test_a_process_that_is_killed_is_just_gone(serverless: Serverless) -> None:
    pid = serverless.ask()
    os.kill(pid, signal.SIGKILL)

    def answers() -> int:
        """A call that came before the end was noticed may still have failed."""
        try:
            return serverless.ask()
        except ClientError:
            return pid

    until(answers, lambda answered: answered != pid)
    assert serverless.sagemaker.describe_endpoint(EndpointName=NAME)["EndpointStatus"] == "InService"


def test_provisioned_concurrency_is_updated_in_place_and_stays(serverless: Serverless) -> None:
    change = {"VariantName": "all", "ServerlessUpdateConfig": {"MaxConcurrency": 3, "ProvisionedConcurrency": 2}}
    update = serverless.sagemaker.update_endpoint_weights_and_capacities
    update(EndpointName=NAME, DesiredWeightsAndCapacities=[change])
    in_service(serverless.sagemaker, NAME)
    expected = {"MemorySizeInMB": 1024, "MaxConcurrency": 3, "ProvisionedConcurrency": 2}
    assert serverless.described()["CurrentServerlessConfig"] == expected
    with serverless.held(3) as calls:
        pass
    assert len({call.result() for call in calls}) == 3
    until(lambda: serverless.told("ServerlessProvisionedConcurrencyInvocations", "Sum"), lambda told: sum(told) == 2)
    spillover = "ServerlessProvisionedConcurrencySpilloverInvocations"
    until(lambda: serverless.told(spillover, "Sum"), lambda told: sum(told) == 1)


def test_an_update_moves_to_another_configuration_and_no_instances_become_serverless(serverless: Serverless) -> None:
    sagemaker, pid = serverless.sagemaker, serverless.ask()
    sagemaker.create_endpoint_config(EndpointConfigName=f"{NAME}-2", ProductionVariants=[variant(4, 2048)])
    sagemaker.update_endpoint(EndpointName=NAME, EndpointConfigName=f"{NAME}-2")
    in_service(sagemaker, NAME)
    assert serverless.described()["CurrentServerlessConfig"] == {"MemorySizeInMB": 2048, "MaxConcurrency": 4}
    assert serverless.ask() != pid
    assert not runs(pid)
    instances = {"VariantName": "all", "ModelName": NAME, "InstanceType": "ml.m5.large", "InitialInstanceCount": 1}
    sagemaker.create_endpoint_config(EndpointConfigName=f"{NAME}-3", ProductionVariants=[instances])
    sagemaker.update_endpoint(EndpointName=NAME, EndpointConfigName=f"{NAME}-3")
    in_service(sagemaker, NAME)
    with pytest.raises(ClientError, match="to a serverless endpoint"):
        sagemaker.update_endpoint(EndpointName=NAME, EndpointConfigName=f"{NAME}-2")
    assert serverless.ask()


def test_what_the_model_of_the_api_excludes_never_gets_so_far(serverless: Serverless) -> None:
    for wrong in (variant(201), variant(memory_mb=7168)):
        with pytest.raises(ClientError, match="value less than or equal") as error:
            serverless.sagemaker.create_endpoint_config(EndpointConfigName="wrong", ProductionVariants=[wrong])
        assert error.value.response["Error"]["Code"] == "ValidationException"

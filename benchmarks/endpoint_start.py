"""The time from CreateEndpoint to InService, and from `docker run` of the same image to the first response of /ping."""

import http.client
import itertools
import time
from typing import Any

from benchmarks.environment import IMAGE, ROLE, docker, image, stack
from benchmarks.ports import free_port
from benchmarks.timing import in_turn, summary, write

POLL_S = 0.05
_LIMIT_S = 120.0


def main(rounds: int) -> None:
    """Measures the scenario and writes its figures."""
    numbers = itertools.count()
    with image(), stack() as session:
        sagemaker = session.client("sagemaker")
        sagemaker.create_model(ModelName="bench", PrimaryContainer={"Image": IMAGE}, ExecutionRoleArn=ROLE)
        variant = {"VariantName": "All", "ModelName": "bench", "InitialInstanceCount": 1, "InstanceType": "ml.m5.large"}
        sagemaker.create_endpoint_config(EndpointConfigName="bench", ProductionVariants=[variant])
        names = [f"endpoint-{number}" for number in range(rounds + 1)]
        containers: list[str] = []
        try:
            seconds = in_turn(
                rounds,
                {
                    "docker run to /ping": lambda: ping(containers),
                    "stagemaker to InService": lambda: endpoint(sagemaker, names[next(numbers)]),
                },
            )
        finally:
            for container in containers:
                docker("rm", "--force", container)
    write("endpoint_start", {name: summary(taken) for name, taken in seconds.items()})


def endpoint(sagemaker: Any, name: str) -> None:
    """Creates an endpoint and waits until it is InService. Raises RuntimeError when it fails, or TimeoutError."""
    sagemaker.create_endpoint(EndpointName=name, EndpointConfigName="bench")
    deadline = time.monotonic() + _LIMIT_S
    while (found := sagemaker.describe_endpoint(EndpointName=name))["EndpointStatus"] == "Creating":
        if time.monotonic() > deadline:
            raise TimeoutError(f"{name} is not InService")
        time.sleep(POLL_S)
    if found["EndpointStatus"] != "InService":
        raise RuntimeError(f"{name}: {found.get('FailureReason')}")


def ping(containers: list[str]) -> None:
    """Starts a container, adds it to `containers` and waits until /ping answers 200. Raises TimeoutError."""
    port = free_port()
    containers.append(docker("run", "--detach", "--publish", f"127.0.0.1:{port}:8080", IMAGE, "serve"))
    deadline = time.monotonic() + _LIMIT_S
    while time.monotonic() < deadline:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=1)
        try:
            connection.request("GET", "/ping")
            if connection.getresponse().status == 200:
                return
        except (OSError, http.client.HTTPException):
            time.sleep(POLL_S)
        finally:
            connection.close()
    raise TimeoutError("no answer to /ping")

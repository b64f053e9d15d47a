"""UpdateEndpoint under a steady load, by each deployment policy: failed requests, and the latency during and before.

Requests leave at fixed times, whether or not earlier ones were answered, so that a slow answer delays no other request
and its whole wait is counted. The stack is one of processes, whose code is this checkout's."""

import socket
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

from benchmarks.environment import ROLE, SERVE, process_stack
from benchmarks.invoke_endpoint import BODY, percentile, post, read_answer
from benchmarks.timing import write

RATE_PER_S = 40.0  # a tenth of what the gateway answers on an idle machine of two cores
BEFORE_S = 5.0
CLIENTS = 32
INSTANCES = 2
WAIT_S = 1
NAME = "bench"
TIMEOUT_S = 70.0  # more than an invocation may take
LIMIT_S = 180.0
_HALF = {"Type": "CAPACITY_PERCENT", "Value": 50}
_WAIT = {"WaitIntervalInSeconds": WAIT_S}


def blue_green(kind: str, **size: Any) -> dict[str, Any]:
    """A DeploymentConfig with a bake after each step."""
    routing = {"Type": kind, **_WAIT, **size}
    return {"BlueGreenUpdatePolicy": {"TrafficRoutingConfiguration": routing, "TerminationWaitInSeconds": WAIT_S}}


POLICIES: dict[str, dict[str, Any]] = {
    "all at once": blue_green("ALL_AT_ONCE"),
    "canary": blue_green("CANARY", CanarySize=_HALF),
    "linear": blue_green("LINEAR", LinearStepSize=_HALF),
    "rolling": {"RollingUpdatePolicy": {"MaximumBatchSize": _HALF, **_WAIT}},
}


@dataclass
class Load:
    """What came of the requests: seconds from the moment that each was due to its answer."""

    latencies_s: list[float] = field(default_factory=list)
    failures: list[int] = field(default_factory=list)  # HTTP statuses; 0 where no answer came

    def figures(self) -> dict[str, float]:
        """In milliseconds."""
        return {
            "requests": len(self.latencies_s) + len(self.failures),
            "failed": len(self.failures),
            "p50_ms": round(percentile(self.latencies_s, 50) * 1e3, 1),
            "p99_ms": round(percentile(self.latencies_s, 99) * 1e3, 1),
        }


def main(rounds: int) -> None:
    """Measures the scenario and writes its figures."""
    with process_stack() as session:
        sagemaker = session.client("sagemaker")
        gateway = urlsplit(session.client("sagemaker-runtime").meta.endpoint_url)
        _deploy(sagemaker)
        address, request = (gateway.hostname, gateway.port), post(f"/endpoints/{NAME}/invocations", BODY)
        found = {name: _policy(sagemaker, policy, address, request, rounds) for name, policy in POLICIES.items()}
    write("update_under_load", {"requests per second": RATE_PER_S, "instances": INSTANCES, **found})


def _policy(sagemaker: Any, policy: dict[str, Any], address: Any, request: bytes, rounds: int) -> dict[str, Any]:
    """The figures of `rounds` updates by one policy together, and of the same time before each."""
    before, during, seconds = Load(), Load(), list[float]()
    for _ in range(rounds):
        end_s = time.monotonic() + BEFORE_S
        steady(before, address, request, lambda end_s=end_s: time.monotonic() < end_s)  # type: ignore[misc]
        began_s = time.monotonic()
        sagemaker.update_endpoint(EndpointName=NAME, EndpointConfigName=NAME, DeploymentConfig=policy)
        with ThreadPoolExecutor(1) as pool:
            update = pool.submit(_in_service, sagemaker)
            steady(during, address, request, lambda update=update: not update.done())  # type: ignore[misc]
            update.result()
        seconds.append(time.monotonic() - began_s)
    longest = round(max(seconds), 1)
    figures = {"before": before.figures(), "during": during.figures(), "longest_update_s": longest}
    print(f"  {figures}", flush=True)
    return figures


def steady(load: Load, address: tuple[str, int], request: bytes, goes_on: Callable[[], bool]) -> None:
    """Send RATE_PER_S requests, each over its own connection, as long as it `goes_on`, and wait for the answers."""
    began_s = time.monotonic()
    with ThreadPoolExecutor(CLIENTS) as pool:
        number = 0
        while goes_on():
            due_s = began_s + number / RATE_PER_S
            time.sleep(max(0.0, due_s - time.monotonic()))
            pool.submit(_ask, load, address, request, due_s)
            number += 1


def _ask(load: Load, address: tuple[str, int], request: bytes, due_s: float) -> None:
    try:
        with closing(socket.create_connection(address, TIMEOUT_S)) as connection:
            connection.sendall(request)
            status, body = read_answer(connection.recv)
    except (OSError, ValueError):
        status, body = 0, b""
    if status == 200 and request.endswith(body) and body:
        load.latencies_s.append(time.monotonic() - due_s)
    else:
        load.failures.append(status)


def _deploy(sagemaker: Any) -> None:
    sagemaker.create_model(ModelName=NAME, PrimaryContainer={"Image": SERVE}, ExecutionRoleArn=ROLE)
    variant = {"VariantName": "All", "ModelName": NAME, "InstanceType": "ml.m5.large"}
    variants = [{**variant, "InitialInstanceCount": INSTANCES}]
    sagemaker.create_endpoint_config(EndpointConfigName=NAME, ProductionVariants=variants)
    sagemaker.create_endpoint(EndpointName=NAME, EndpointConfigName=NAME)
    _in_service(sagemaker)


def _in_service(sagemaker: Any) -> None:
    """RuntimeError when it ends otherwise, or with a FailureReason; TimeoutError."""
    deadline_s = time.monotonic() + LIMIT_S
    while time.monotonic() < deadline_s:
        found = sagemaker.describe_endpoint(EndpointName=NAME)
        if found["EndpointStatus"] not in ("Creating", "Updating"):
            if found["EndpointStatus"] != "InService" or "FailureReason" in found:
                raise RuntimeError(f"{found['EndpointStatus']}: {found.get('FailureReason')}")
            return
        time.sleep(0.1)
    raise TimeoutError(f"{NAME} is not in service after {LIMIT_S:.0f} s")

"""A load on an endpoint of plain processes that Application Auto Scaling scales, for `scaling`."""

import socket
import threading
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from dataclasses import dataclass
from itertools import pairwise
from typing import Any
from urllib.parse import urlsplit

import boto3

from benchmarks.endpoint_start import endpoint as create_endpoint
from benchmarks.environment import ROLE, SERVE, process_stack
from benchmarks.invoke_endpoint import Target, post, read_answer

TARGET, COOLDOWN_S, MAXIMUM = 16, 300, 8
LOOK_S = 0.1
CONNECTIONS = 8
NAME = "bench"
RESOURCE = {
    "ServiceNamespace": "sagemaker",
    "ResourceId": f"endpoint/{NAME}/variant/All",
    "ScalableDimension": "sagemaker:variant:DesiredInstanceCount",
}
_LIMIT_S = 60.0


@dataclass(frozen=True)
class Rehearsal:
    """A load, in requests a minute of AWS, where `factor` seconds of AWS pass in one."""

    factor: int
    load: tuple[int, ...]

    @property
    def minute_s(self) -> float:
        """How long a minute of AWS takes."""
        return 60 / self.factor

    @property
    def lag_s(self) -> float:
        """Of the live loop, in seconds of AWS: 2 s until a period is read, and on average half of its second between
        looks."""
        return 2.5 * self.factor


@contextmanager
def endpoint(factor: int) -> Iterator[boto3.Session]:
    """A LocalStack whose time is compressed, with an endpoint of one instance, which answers a POST with its body."""
    with process_stack(STAGEMAKER_TIME_COMPRESSION=str(factor)) as session:
        sagemaker = session.client("sagemaker")
        sagemaker.create_model(ModelName=NAME, PrimaryContainer={"Image": SERVE}, ExecutionRoleArn=ROLE)
        variant = {"VariantName": "All", "ModelName": NAME, "InitialInstanceCount": 1, "InstanceType": "ml.m5.large"}
        sagemaker.create_endpoint_config(EndpointConfigName=NAME, ProductionVariants=[variant])
        create_endpoint(sagemaker, NAME)
        yield session


def time_to_start(sagemaker: Any, factor: int) -> float:
    """The seconds of AWS from a change to two instances until both serve; then there is one again."""
    began_s = time.monotonic()
    _change(sagemaker, 2)
    took_s = time.monotonic() - began_s
    _change(sagemaker, 1)
    return took_s * factor


def run(session: boto3.Session, policy: str, rehearsal: Rehearsal) -> dict[str, Any]:
    """One load on the endpoint with a new policy, and the instances that served meanwhile, in seconds of AWS."""
    sagemaker, scaling = session.client("sagemaker"), session.client("application-autoscaling")
    _wait_for(sagemaker, 1)
    scaling.register_scalable_target(**RESOURCE, MinCapacity=1, MaxCapacity=MAXIMUM)
    scaling.put_scaling_policy(
        **RESOURCE,
        PolicyName=policy,
        PolicyType="TargetTrackingScaling",
        TargetTrackingScalingPolicyConfiguration={
            "TargetValue": TARGET,
            "PredefinedMetricSpecification": {"PredefinedMetricType": "SageMakerVariantInvocationsPerInstance"},
            "ScaleInCooldown": COOLDOWN_S,
            "ScaleOutCooldown": COOLDOWN_S,
        },
    )
    minute_s = rehearsal.minute_s
    began_s = (time.time() // minute_s + 2) * minute_s  # at the beginning of a period of CloudWatch
    seen: list[tuple[float, int]] = []
    over = threading.Event()
    looking = threading.Thread(target=_look, args=(sagemaker, began_s, rehearsal.factor, seen, over))
    looking.start()
    try:
        _send(session, due_times(rehearsal, began_s))
    finally:
        over.set()
        looking.join()
        scaling.deregister_scalable_target(**RESOURCE)
    found = changes(seen)
    print(f"  {policy}: {found}", flush=True)
    return {"instance_s": round(instance_seconds(found, len(rehearsal.load) * 60.0)), "serving": found}


def due_times(rehearsal: Rehearsal, began_s: float) -> list[float]:
    """When each request is due, evenly in each minute of AWS: real seconds, of the clock that `began_s` is of."""
    return [
        began_s + (minute + (place + 0.5) / count) * rehearsal.minute_s
        for minute, count in enumerate(rehearsal.load)
        for place in range(count)
    ]


def changes(seen: Sequence[tuple[float, int]]) -> list[tuple[int, int]]:
    """The moments from 0 on at which another number of instances served, and the number."""
    kept = [(0.0, 1), *((moment_s, count) for moment_s, count in seen if moment_s > 0)]
    return [(round(after[0]), after[1]) for before, after in pairwise(kept) if after[1] != before[1]]


def instance_seconds(found: Sequence[tuple[int, int]], end_s: float) -> float:
    """How long instances served, all together, from 0 to the end; one served at the beginning."""
    kept = [(0.0, 1), *((moment_s, count) for moment_s, count in found if moment_s < end_s), (end_s, 0)]
    return sum((after_s - before_s) * count for (before_s, count), (after_s, _) in pairwise(kept))


def _send(session: boto3.Session, due_s: Sequence[float]) -> None:
    """Each request when it is due, whatever becomes of earlier ones, as long as a connection is free."""
    address = urlsplit(session.client("sagemaker-runtime").meta.endpoint_url)
    target = Target((address.hostname, address.port), post(f"/endpoints/{NAME}/invocations", b"x"))
    with ThreadPoolExecutor(CONNECTIONS) as pool:
        parts = [due_s[first::CONNECTIONS] for first in range(CONNECTIONS)]
        list(pool.map(lambda part: _send_all(target, part), parts))


def _send_all(target: Target, due_s: Sequence[float]) -> None:
    """Each over its own connection: in real time a server would close one that rests for so long."""
    for moment_s in due_s:
        time.sleep(max(0.0, moment_s - time.time()))
        with closing(socket.create_connection(target.address, _LIMIT_S)) as connection:
            connection.sendall(target.request)
            status, _ = read_answer(connection.recv)
        if status != 200:
            raise ValueError(f"{target.address} answered {status}")


def _look(sagemaker: Any, began_s: float, factor: int, seen: list[tuple[float, int]], over: threading.Event) -> None:
    while not over.wait(LOOK_S):
        count = _serving(sagemaker)
        seen.append(((time.time() - began_s) * factor, count))


def _status(sagemaker: Any) -> str:
    return str(sagemaker.describe_endpoint(EndpointName=NAME)["EndpointStatus"])


def _serving(sagemaker: Any) -> int:
    return int(sagemaker.describe_endpoint(EndpointName=NAME)["ProductionVariants"][0]["CurrentInstanceCount"])


def _change(sagemaker: Any, count: int) -> None:
    wanted = {"VariantName": "All", "DesiredInstanceCount": count}
    sagemaker.update_endpoint_weights_and_capacities(EndpointName=NAME, DesiredWeightsAndCapacities=[wanted])
    _wait_for(sagemaker, count)


def _wait_for(sagemaker: Any, count: int) -> None:
    deadline_s = time.monotonic() + _LIMIT_S
    while (
        sagemaker.describe_endpoint(EndpointName=NAME)["EndpointStatus"] != "InService" or _serving(sagemaker) != count
    ):
        if time.monotonic() > deadline_s:
            raise TimeoutError(f"{NAME} has not {count} instances in service")
        time.sleep(LOOK_S)

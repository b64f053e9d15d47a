"""Whether cycles of create, update, invoke and delete, with a training job in each, leave anything behind.

It counts before, after a few cycles and after all of them: what the first cycles fill, such as pools of threads and
connections, may stay, but it must not grow with each cycle. The records, the lines of the logs and the metrics of
training jobs stay by right, as on AWS: they are part of what memory may grow by. The stack is one of processes, whose
code is this checkout's; with --docker it is one of containers, of the images of `make build`.
"""

import inspect
import json
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import boto3
from botocore.exceptions import ClientError

from benchmarks import cycles_counts
from benchmarks.environment import (
    IMAGE,
    PROJECT,
    ROLE,
    SERVE,
    TRAIN,
    docker,
    image,
    process_stack_with_paths,
    stack,
    training_request,
)
from benchmarks.timing import write
from benchmarks.update_under_load import POLICIES

ROUNDS, ROUNDS_DOCKER = 100, 20
INSTANCES = 2  # so that a canary, a linear and a rolling update have a half
SETTLE_S = 30.0  # in which the lowest of each count is taken: a leak stays, a thread that just ends does not
LIMIT_S = 180.0
MAY_GROW_MB = 50.0
DATA = "s3://bench/data"
_STATE = ("/var/lib/stagemaker", "/tmp")  # noqa: S108 - in LocalStack's container, and only looked at
_UNITS = ", MB"
KEPT_NETWORKS = 9  # the stack's own, and the eight that the stage keeps for the next jobs

Counts = Mapping[str, float]


def main(rounds: int | None, *, in_docker: bool = False) -> None:
    """Runs the cycles and writes the counts. SystemExit with a sentence for each count that grew.

    ValueError for fewer cycles than there are deployment policies, and one more."""
    rounds = rounds or (ROUNDS_DOCKER if in_docker else ROUNDS)
    early = early_of(rounds)
    with _container_stack() if in_docker else _process_stack() as (session, images, count):
        session.client("s3").put_object(Bucket="bench", Key="data/object", Body=b"data")
        counts, began_s = [settled(count)], time.monotonic()
        _show(0, counts[-1])
        for number in range(1, rounds + 1):
            cycle(session, f"cycle-{number}", list(POLICIES.values())[number % len(POLICIES)], *images)
            if number in (early, rounds):
                counts.append(settled(count))
                _show(number, counts[-1])
    figures = {"cycles": rounds, "seconds": round(time.monotonic() - began_s), "before": counts[0]}
    figures |= {f"after {early}": counts[1], f"after {rounds}": counts[2]}
    write("cycles_docker" if in_docker else "cycles", figures)
    if grown := growth(counts[1], counts[2]):
        raise SystemExit("\n".join(f"Between cycle {early} and {rounds} {sentence}" for sentence in grown))


def early_of(rounds: int) -> int:
    """After how many cycles everything has been used: a tenth, and at least one with each policy."""
    if rounds <= len(POLICIES):
        raise ValueError(f"--rounds must be {len(POLICIES) + 1} or more: each deployment policy has its turn first.")
    return max(len(POLICIES), rounds // 10)


def growth(early: Counts, late: Counts) -> list[str]:
    """A sentence for each count that grew, and for each size that grew by more than MAY_GROW_MB."""
    return [
        f"{name} grew from {early[name]} to {late[name]}."
        for name in late
        if late[name] - early[name] > (MAY_GROW_MB if name.endswith(_UNITS) else 0)
    ]


def settled(count: Callable[[], Counts], settle_s: float = SETTLE_S) -> Counts:
    """The lowest of each count within `settle_s`."""
    found, end_s = [count()], time.monotonic() + settle_s
    while time.monotonic() < end_s:
        time.sleep(1)
        found.append(count())
    return lowest(found)


def lowest(counts: Sequence[Counts]) -> Counts:
    """The lowest of each."""
    return {name: min(each[name] for each in counts) for name in counts[0]}


def without_kept(networks: int, inside: Counts) -> dict[str, float]:
    """The counts without the networks that are kept, and without the thread and the file descriptor of each network:
    how many are kept follows from how many jobs and endpoints there were at once."""
    held = {name: inside[name] - networks for name in ("threads", "file descriptors")}
    return {"networks": max(0, networks - KEPT_NETWORKS), **inside, **held}


def cycle(session: boto3.Session, name: str, policy: Mapping[str, Any], train: str, serve: str) -> None:
    """A training job and an endpoint from its creation to its deletion, at the same time. What can be deleted is
    deleted. RuntimeError when something fails, TimeoutError."""
    sagemaker = session.client("sagemaker")
    sagemaker.create_training_job(**_training_request(name, train))
    sagemaker.create_model(ModelName=name, PrimaryContainer={"Image": serve}, ExecutionRoleArn=ROLE)
    variant = {"VariantName": "All", "ModelName": name, "InstanceType": "ml.m5.large"}
    for config in (name, f"{name}-next"):
        variants = [{**variant, "InitialInstanceCount": INSTANCES}]
        sagemaker.create_endpoint_config(EndpointConfigName=config, ProductionVariants=variants)
    sagemaker.create_endpoint(EndpointName=name, EndpointConfigName=name)
    _wait(lambda: _endpoint(sagemaker, name), "InService")
    sagemaker.update_endpoint(EndpointName=name, EndpointConfigName=f"{name}-next", DeploymentConfig=policy)
    _wait(lambda: _endpoint(sagemaker, name), "InService")
    answer = session.client("sagemaker-runtime").invoke_endpoint(EndpointName=name, Body=b"body")["Body"].read()
    if answer != b"body":
        raise RuntimeError(f"{name} answered {answer[:100]!r}")
    sagemaker.delete_endpoint(EndpointName=name)
    _wait(lambda: _endpoint(sagemaker, name), "gone")
    for config in (name, f"{name}-next"):
        sagemaker.delete_endpoint_config(EndpointConfigName=config)
    sagemaker.delete_model(ModelName=name)
    _wait(lambda: _job(sagemaker, name), "Completed")
    s3 = session.client("s3")
    for found in s3.list_objects_v2(Bucket="bench", Prefix="output/").get("Contents", []):
        s3.delete_object(Bucket="bench", Key=found["Key"])


def _training_request(name: str, train: str) -> dict[str, Any]:
    request = training_request(name)
    request["AlgorithmSpecification"]["TrainingImage"] = train
    source = {"S3DataSource": {"S3DataType": "S3Prefix", "S3Uri": DATA}}
    return {**request, "InputDataConfig": [{"ChannelName": "train", "DataSource": source}]}


def _endpoint(sagemaker: Any, name: str) -> tuple[str, str]:
    """Its status, or `gone`, and why it failed."""
    try:
        found = sagemaker.describe_endpoint(EndpointName=name)
    except ClientError as error:
        if error.response["Error"]["Code"] == "ValidationException":
            return "gone", ""
        raise
    return found["EndpointStatus"], found.get("FailureReason", "")


def _job(sagemaker: Any, name: str) -> tuple[str, str]:
    found = sagemaker.describe_training_job(TrainingJobName=name)
    return found["TrainingJobStatus"], found.get("FailureReason", "")


def _wait(read: Callable[[], tuple[str, str]], wanted: str) -> None:
    """RuntimeError when it failed, TimeoutError after LIMIT_S."""
    deadline_s = time.monotonic() + LIMIT_S
    while (found := read())[0] != wanted:
        if found[1] or found[0] == "Failed":
            raise RuntimeError(": ".join(found))
        if time.monotonic() > deadline_s:
            raise TimeoutError(f"not {wanted} after {LIMIT_S:.0f} s but {found[0]}")
        time.sleep(0.1)
    if found[1]:
        raise RuntimeError(": ".join(found))


@contextmanager
def _process_stack() -> Iterator[tuple[boto3.Session, tuple[str, str], Callable[[], Counts]]]:
    """The session, the images that train and serve, and what counts."""
    with process_stack_with_paths() as (session, paths):
        pid = json.loads(paths.record.read_text())["pid"]
        yield session, (TRAIN, SERVE), lambda: cycles_counts.count(pid, [str(paths.state)])


@contextmanager
def _container_stack() -> Iterator[tuple[boto3.Session, tuple[str, str], Callable[[], Counts]]]:
    """As `_process_stack`."""
    program = inspect.getsource(cycles_counts)
    labels = (f"com.docker.compose.project={PROJECT}", "com.docker.compose.service=localstack")
    filters = [word for label in labels for word in ("--filter", f"label={label}")]

    def count() -> Counts:
        inside = json.loads(docker("exec", localstack, "python", "-ISc", program, "1", *_STATE))
        kinds = {f"{kind}s": _listed(kind) for kind in ("container", "volume")}
        return {**kinds, **without_kept(_listed("network"), inside)}

    with image(), stack() as session:
        (localstack,) = docker("ps", "--quiet", *filters).split()
        yield session, (IMAGE, IMAGE), count


def _listed(kind: str) -> int:
    """How many of that kind the stack started beside itself."""
    everything = ("--all",) if kind == "container" else ()
    label = f"label=com.stagemaker.network={PROJECT}"
    return len(docker(kind, "ls", "--quiet", *everything, "--filter", label).split())


def _show(cycles: int, counts: Counts) -> None:
    print(f"  after {cycles} cycles: {dict(counts)}", flush=True)

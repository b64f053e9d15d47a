"""Deployments that are broken off at a call, or have company, and what is left of a project in the account."""

import hashlib
import os
import subprocess
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from signal import Signals
from typing import Any

from tests.aws.deploys import LIMIT_S, READING, UNCHANGED, changing, run, start
from tests.aws.pretended_aws import PretendedAws
from tests.aws.rules import Fault
from tests.aws.wire import Asked

ALL_POINTS = bool(os.environ.get("STAGEMAKER_ALL_POINTS"))


@dataclass(frozen=True)
class Point:
    """Where a command is broken off, by a signal: at the call `number` of an operation, or, without one, of all that
    change something."""

    signal: Signals
    operation: str = ""
    number: int = 1


def broken_off(aws: PretendedAws, point: Point, *arguments: str, **environment: str) -> tuple[int, str, bool]:
    """Run the command, and send it the signal once that call is done, and before it is answered. Its exit code, what it
    said, and whether it came to that call."""
    running = list[subprocess.Popen[str]]()
    started, has_come = threading.Event(), threading.Event()

    def send(_: Asked) -> None:
        assert started.wait(LIMIT_S)
        running[0].send_signal(point.signal)
        has_come.set()

    fault = Fault(
        operation=point.operation, first=point.number, last=point.number, matches=is_changing, afterwards=send
    )
    with aws.injected(fault), start(aws, *arguments, **environment) as process:
        running.append(process)
        started.set()
        try:
            said, _ = process.communicate(timeout=LIMIT_S)
        finally:
            process.kill()
    return process.returncode, said, has_come.is_set()


def is_changing(asked: Asked) -> bool:
    """Whether a call is not for reading."""
    return not asked.operation.startswith(READING)


def since(operation: str) -> Callable[[Asked], bool]:
    """Matches every call from the first one of the operation on."""
    begun = threading.Event()

    def matches(asked: Asked) -> bool:
        if asked.operation == operation:
            begun.set()
        return begun.is_set()

    return matches


@dataclass(frozen=True)
class Project:
    """A deployment with a name of its own, its data, and the file of its preset."""

    aws: PretendedAws
    name: str
    data: Path
    preset: Path

    @property
    def deploy(self) -> tuple[str, ...]:
        """The command that deploys it."""
        return "deploy", "--preset", str(self.preset), "--project", self.name, "--data", str(self.data)

    @property
    def plan(self) -> tuple[str, ...]:
        """The command that says what that would change."""
        return "plan", *self.deploy[1:], "--json"

    @property
    def destroy(self) -> tuple[str, ...]:
        """The command that destroys it, without asking."""
        return "destroy", "--preset", str(self.preset), "--project", self.name, "--yes"

    @property
    def bucket(self) -> str:
        """The name of its bucket."""
        return f"{self.name}-000000000000-us-east-1"

    def check_deployed(self) -> None:
        """All is as planned, and S3 has the data, byte for byte."""
        self.aws.forget()
        code, said = run(self.aws, *self.deploy)
        assert (code, UNCHANGED in said) == (0, True), said
        assert changing(self.aws) == []
        sent = {path.relative_to(self.data).as_posix(): path.read_bytes() for path in self.data.rglob("*.png")}
        listed = self.aws.client("s3").list_objects_v2(Bucket=self.bucket, Prefix="data/")["Contents"]
        assert {item["Key"].removeprefix("data/"): item["ETag"].strip('"') for item in listed} == {
            key: hashlib.md5(content, usedforsecurity=False).hexdigest() for key, content in sent.items()
        }

    def check_destroyed(self) -> None:
        """Delete what is there; then nothing is left of it."""
        code, said = run(self.aws, *self.destroy)
        assert (code, "Nothing is left with the tag" in said) == (0, True), said
        assert left_of(self.aws, self.name) == []


def left_of(aws: PretendedAws, project: str) -> list[str]:
    """What the account has with the project in its name, of all kinds that a deployment makes."""
    return sorted(name for name in _names(aws) if project in name)


def _names(aws: PretendedAws) -> Iterator[str]:
    for service, operation, items, key in (
        ("iam", "list_roles", "Roles", "RoleName"),
        ("s3", "list_buckets", "Buckets", "Name"),
        ("sagemaker", "list_training_jobs", "TrainingJobSummaries", "TrainingJobName"),
        ("sagemaker", "list_models", "Models", "ModelName"),
        ("sagemaker", "list_endpoint_configs", "EndpointConfigs", "EndpointConfigName"),
        ("sagemaker", "list_endpoints", "Endpoints", "EndpointName"),
        ("lambda", "list_functions", "Functions", "FunctionName"),
        ("logs", "describe_log_groups", "logGroups", "logGroupName"),
    ):
        client: Any = aws.client(service)
        for page in client.get_paginator(operation).paginate():
            yield from (item[key] for item in page[items])
    scaling = aws.client("application-autoscaling").get_paginator("describe_scalable_targets")
    for page in scaling.paginate(ServiceNamespace="sagemaker"):
        yield from (target["ResourceId"] for target in page["ScalableTargets"])

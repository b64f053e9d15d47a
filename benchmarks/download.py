"""The download of a channel of 10,000 small objects, beside `aws s3 sync` of the same objects from the same LocalStack.

The goal is to be no slower, and memory that does not grow with the number of objects. Of the figures of memory the
first is the warm-up's. It needs no Docker: LocalStack and the job are processes, and the job's program ends at once.
"""

import json
import os
import shutil
import statistics
import subprocess
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from itertools import count
from pathlib import Path
from typing import Any

import boto3

from benchmarks.environment import make_role, training_request
from benchmarks.ports import free_port
from benchmarks.timing import in_turn, summary, write
from infra.hosts.process import ProcessHost
from infra.paths import paths

OBJECTS, OBJECT_BYTES = 10_000, 3_000  # the size of a small photo
REGION = "us-east-1"
_LIMIT_S, _POLL_S = 600.0, 0.5
_CREDENTIALS = {"AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test", "AWS_DEFAULT_REGION": REGION}


def main(rounds: int) -> None:
    """Measures the scenario and writes its figures."""
    with tempfile.TemporaryDirectory() as name:
        folder, numbers = Path(name), count()
        with _localstack(folder) as (endpoint, pid):
            _put_objects(endpoint)
            memory = _Memory(pid)
            sagemaker = _client("sagemaker", endpoint)
            seconds = in_turn(
                rounds,
                {
                    "aws s3 sync": lambda: _sync(endpoint, folder / "sync"),
                    "stagemaker": lambda: memory.during(lambda: _job(sagemaker, f"download-{next(numbers)}")),
                },
            )
    sync, ours = (statistics.median(seconds[name]) for name in seconds)
    write(
        "download",
        {name: summary(taken) for name, taken in seconds.items()}
        | {"stagemaker in times of aws s3 sync": round(ours / sync, 2)}
        | {"LocalStack's memory above that before a job, MiB": memory.grown_mib},
    )


@contextmanager
def _localstack(folder: Path) -> Iterator[tuple[str, int]]:
    """A LocalStack of its own with the role and the bucket `bench`: its address and process."""
    program = folder / "images" / "trainer" / "train"
    program.parent.mkdir(parents=True)
    program.write_text("")
    (folder / "state").mkdir()
    there = replace(paths({}), state=folder / "state", images=folder / "images")
    host = ProcessHost(there, os.environ)
    running = host.start(free_port(), stays=False)
    try:
        _client("s3", running.endpoint).create_bucket(Bucket="bench")
        make_role(_client("iam", running.endpoint))
        yield running.endpoint, json.loads(there.record.read_text())["pid"]
    finally:
        host.stop()


def _client(service: str, endpoint: str) -> Any:
    return boto3.Session("test", "test", region_name=REGION).client(service, endpoint_url=endpoint)


def _put_objects(endpoint: str) -> None:
    s3, body = _client("s3", endpoint), bytes(OBJECT_BYTES)
    keys = [f"train/class-{number % 10}/{number:05}.jpg" for number in range(OBJECTS)]
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda key: s3.put_object(Bucket="bench", Key=key, Body=body), keys))


def _sync(endpoint: str, folder: Path) -> float:
    aws = paths({}).environments / "plugin" / "bin" / "aws"
    command = [str(aws), "s3", "sync", "--quiet", "s3://bench/train", str(folder)]
    began = time.perf_counter()
    subprocess.run(command, env=os.environ | _CREDENTIALS | {"AWS_ENDPOINT_URL": endpoint}, check=True)
    took = time.perf_counter() - began
    if (found := sum(path.is_file() for path in folder.rglob("*"))) != OBJECTS:
        raise RuntimeError(f"aws s3 sync has fetched {found} objects")
    shutil.rmtree(folder)
    return took


def _job(sagemaker: Any, name: str) -> float:
    """The seconds that a job is Downloading."""
    source = {"S3DataSource": {"S3DataType": "S3Prefix", "S3Uri": "s3://bench/train"}}
    request = training_request(name)
    request["AlgorithmSpecification"]["TrainingImage"] = "stagemaker/trainer"
    sagemaker.create_training_job(**request, InputDataConfig=[{"ChannelName": "train", "DataSource": source}])
    deadline = time.monotonic() + _LIMIT_S
    while (found := sagemaker.describe_training_job(TrainingJobName=name))["TrainingJobStatus"] == "InProgress":
        if time.monotonic() > deadline:
            raise TimeoutError(f"{name} did not end")
        time.sleep(_POLL_S)
    if found["TrainingJobStatus"] != "Completed":
        raise RuntimeError(f"{name}: {found.get('FailureReason')}")
    (step,) = (step for step in found["SecondaryStatusTransitions"] if step["Status"] == "Downloading")
    return float((step["EndTime"] - step["StartTime"]).total_seconds())


class _Memory:
    """The most that a process held during each call, above what it held before."""

    def __init__(self, pid: int) -> None:
        self._pid = pid
        self.grown_mib: list[int] = []

    def during(self, call: Any) -> float:
        """What the call returns."""
        Path(f"/proc/{self._pid}/clear_refs").write_text("5")  # proc(5): the peak begins anew
        before = self._kib("VmRSS")
        result: float = call()
        self.grown_mib.append(round((self._kib("VmHWM") - before) / 1024))
        return result

    def _kib(self, name: str) -> int:
        status = Path(f"/proc/{self._pid}/status").read_text().splitlines()
        return next(int(line.split()[1]) for line in status if line.startswith(f"{name}:"))

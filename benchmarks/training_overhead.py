"""What a training job costs beside its training: from CreateTrainingJob to Completed, with an image that exits at
once, against `docker run` of it and against the local mode of sagemaker's SDK 2.257, in one run.

The goal: at most 1.5 s over `docker run`, and at least 3 times less over it than local mode's."""

import itertools
import logging
import os
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

from sagemaker.estimator import Estimator
from sagemaker.local import LocalSession

from benchmarks.place import IMAGE, ROLE, docker, image, stack, training_request
from benchmarks.timing import in_turn, summary, write

POLL_S = 0.25  # DescribeTrainingJob in a close loop would slow the job that is measured
_LIMIT_S = 120.0
SDK_NETWORK = "sagemaker-local"


def main(rounds: int) -> None:
    """Measure and write."""
    logging.getLogger("sagemaker").setLevel(logging.ERROR)
    numbers = itertools.count()
    with image(), stack() as session, tempfile.TemporaryDirectory() as folder:
        _settle_the_sdk(Path(folder))
        sagemaker = session.client("sagemaker")
        local = LocalSession(boto_session=session)
        local.config = {"local": {"local_code": True, "container_root": folder}}
        seconds = in_turn(
            rounds,
            {
                "docker run": lambda: docker("run", "--rm", IMAGE, "train"),
                "stagemaker": lambda: job(sagemaker, f"overhead-{next(numbers)}"),
                "sagemaker local mode": lambda: local_mode(local, folder),
            },
        )
    if SDK_NETWORK in docker("network", "ls", "--format", "{{.Name}}").split():
        docker("network", "rm", SDK_NETWORK)  # which local mode leaves behind
    run, ours, theirs = (statistics.median(seconds[name]) for name in seconds)
    write(
        "training_overhead",
        {name: summary(taken) for name, taken in seconds.items()}
        | {"stagemaker over docker run, s": round(ours - run, 3)}
        | {"local mode over docker run, s": round(theirs - run, 3)}
        | {"local mode's overhead in times of ours": round((theirs - run) / (ours - run), 2)},
    )


def job(sagemaker: Any, name: str) -> float:
    """Seconds from the call that creates a training job to the TrainingEndTime of its record, by the same clock."""
    began = time.time()
    sagemaker.create_training_job(**training_request(name))
    deadline = time.monotonic() + _LIMIT_S
    while (found := sagemaker.describe_training_job(TrainingJobName=name))["TrainingJobStatus"] == "InProgress":
        if time.monotonic() > deadline:
            raise TimeoutError(f"{name} did not end")
        time.sleep(POLL_S)
    if found["TrainingJobStatus"] != "Completed":
        raise RuntimeError(f"{name}: {found.get('FailureReason')}")
    return float(found["TrainingEndTime"].timestamp() - began)


def _settle_the_sdk(folder: Path) -> None:
    """It takes `docker compose` only when its version is written with a v, which Debian leaves out, but also a
    `docker-compose` on the PATH."""
    command = folder / "docker-compose"
    command.write_text('#!/bin/sh\nexec docker compose "$@"\n')
    command.chmod(0o755)
    os.environ["PATH"] += f":{folder}"


def local_mode(session: LocalSession, folder: str) -> None:
    """The same image by the SDK's local mode, in its fastest setting: with logs=False it sleeps for 5 s at the end."""
    estimator = Estimator(
        image_uri=IMAGE,
        role=ROLE,
        instance_count=1,
        instance_type="local",
        sagemaker_session=session,
        output_path=f"file://{folder}",
    )
    estimator.fit()

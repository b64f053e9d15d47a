"""The overhead of a training job: the time from CreateTrainingJob to Completed with an image that exits at once.

It is compared with `docker run` of the image, and with the local mode of the sagemaker SDK 2.257, in one run. The goal
is at most 1.5 s more than `docker run`, and an overhead that is at least 3 times smaller than that of local mode.
"""

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

from benchmarks.environment import IMAGE, ROLE, docker, image, stack, training_request
from benchmarks.timing import in_turn, summary, write

POLL_S = 0.25  # DescribeTrainingJob in a close loop would slow the job that is measured
_LIMIT_S = 120.0
SDK_NETWORK = "sagemaker-local"


def main(rounds: int) -> None:
    """Measures the scenario and writes its figures."""
    logging.getLogger("sagemaker").setLevel(logging.ERROR)
    numbers = itertools.count()
    with image(), stack() as session, tempfile.TemporaryDirectory() as folder:
        _provide_docker_compose(Path(folder))
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
        docker("network", "rm", SDK_NETWORK)  # local mode does not remove it
    run, ours, theirs = (statistics.median(seconds[name]) for name in seconds)
    write(
        "training_overhead",
        {name: summary(taken) for name, taken in seconds.items()}
        | {"stagemaker over docker run, s": round(ours - run, 3)}
        | {"local mode over docker run, s": round(theirs - run, 3)}
        | {"local mode's overhead in times of ours": round((theirs - run) / (ours - run), 2)},
    )


def job(sagemaker: Any, name: str) -> float:
    """Seconds from the call that creates a training job to TrainingEndTime in its description, by the same clock."""
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


def _provide_docker_compose(folder: Path) -> None:
    """Puts a `docker-compose` into a folder of the PATH. The SDK accepts `docker compose` only when its version begins
    with a v, which Debian omits."""
    command = folder / "docker-compose"
    command.write_text('#!/bin/sh\nexec docker compose "$@"\n')
    command.chmod(0o755)
    os.environ["PATH"] += f":{folder}"


def local_mode(session: LocalSession, folder: str) -> None:
    """Runs the same image by the SDK's local mode in its fastest setting: with logs=False it sleeps for 5 s at the
    end."""
    estimator = Estimator(
        image_uri=IMAGE,
        role=ROLE,
        instance_count=1,
        instance_type="local",
        sagemaker_session=session,
        output_path=f"file://{folder}",
    )
    estimator.fit()

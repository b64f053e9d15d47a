"""What a search of ten training jobs costs beside one training job, since `make tune` computes the features first.

Both run on a stack of processes, as the default preset has them, each round with another seed, so that nothing is there
already. A time is that from the first job's CreationTime to the end of the last one, which SageMaker's descriptions
say; the work of all training jobs, which is what AWS bills, is the sum of their TrainingTimeInSeconds. The goal is at
most twice one job's time.
"""

import os
import statistics
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from benchmarks.environment import process_stack_with_paths
from benchmarks.timing import summary, write
from infra.data import digits
from infra.paths import CHECKOUT

PROJECT = "tuned"
JOBS = 10
GOAL = 2.0


def main(rounds: int) -> None:
    """Measures the scenario and writes its figures. DATA is a folder of photos; without it scikit-learn's digits, which
    train as photos do here. SystemExit for a verb that fails."""
    found: list[dict[str, float]] = []
    with tempfile.TemporaryDirectory() as folder, process_stack_with_paths() as (session, places):
        program = places.images / "trainer" / "train"
        program.unlink()
        program.symlink_to(CHECKOUT / "containers" / "trainer" / "train")
        data = Path(os.environ["DATA"]).resolve() if os.environ.get("DATA") else digits.make(Path(folder) / "digits")
        sagemaker = session.client("sagemaker")
        for seed in range(1, rounds + 1):
            python = places.environments / "client" / "bin" / "python"
            for verb in (["train"], ["tune", "--jobs", str(JOBS)]):
                options = ["--project", PROJECT, "--set", f"seed={seed}", "--set", "fine-tune=head"]
                command = [str(python), "-m", "infra", *verb, *options]
                environment = {**os.environ, "DATA": str(data)}
                done = subprocess.run(
                    command, cwd=CHECKOUT, env=environment, capture_output=True, text=True, check=False
                )
                if done.returncode:
                    raise SystemExit(f"{verb[0]} failed: {done.stdout}{done.stderr}")
            found.append(times(described(sagemaker, str(seed))))
            print(f"  round {seed}: {found[-1]}", flush=True)
    write("tune", figures_of(found))


def described(sagemaker: Any, seed: str) -> list[Mapping[str, Any]]:
    """The descriptions of all training jobs with this seed."""
    pages = sagemaker.get_paginator("list_training_jobs").paginate()
    names = [one["TrainingJobName"] for page in pages for one in page["TrainingJobSummaries"]]
    jobs = [sagemaker.describe_training_job(TrainingJobName=name) for name in names]
    return [job for job in jobs if job["HyperParameters"]["seed"] == seed]


def times(jobs: Sequence[Mapping[str, Any]]) -> dict[str, float]:
    """The seconds of the one job, of the search with the job that computes its features, and of that job alone; and the
    work of the search in seconds of training jobs, and the longest of its ten."""
    [features] = [job for job in jobs if "features-only" in job["HyperParameters"]]
    searched = [job for job in jobs if "TuningJobArn" in job]
    [alone] = [job for job in jobs if job is not features and job not in searched]
    if len(searched) != JOBS:
        raise SystemExit(f"the search had {len(searched)} training jobs, not {JOBS}")
    return {
        "one job": _seconds([alone]),
        "the search": _seconds([features, *searched]),
        "of it the features": _seconds([features]),
        "all jobs of the search": float(sum(job["TrainingTimeInSeconds"] for job in (features, *searched))),
        "longest of the ten": max(_seconds([job]) for job in searched),
    }


def _seconds(jobs: Sequence[Mapping[str, Any]]) -> float:
    """From the first CreationTime to the last TrainingEndTime."""
    began, ended = min(job["CreationTime"] for job in jobs), max(job["TrainingEndTime"] for job in jobs)
    return float((ended - began).total_seconds())


def figures_of(rounds: list[dict[str, float]]) -> dict[str, Any]:
    """Each time over the rounds, and the ratios of each round's."""
    seconds = {name: summary([one[name] for one in rounds]) for name in rounds[0]}
    return seconds | {
        f"{name} in times of one job": round(statistics.median(one[name] / one["one job"] for one in rounds), 2)
        for name in ("the search", "all jobs of the search")
    }

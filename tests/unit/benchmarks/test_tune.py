"""The figures of the benchmark of a search, from descriptions of training jobs as SageMaker gives them."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from benchmarks.tune import described, figures_of, times

BEGAN = datetime(2026, 1, 1, tzinfo=UTC)


def job(name: str, begins_s: float, ends_s: float, seed: str = "1", **members: Any) -> dict[str, Any]:
    return {
        "TrainingJobName": name,
        "CreationTime": BEGAN + timedelta(seconds=begins_s),
        "TrainingEndTime": BEGAN + timedelta(seconds=ends_s),
        "TrainingTimeInSeconds": int(ends_s - begins_s),
        "HyperParameters": {"seed": seed, **members.pop("hyperparameters", {})},
        **members,
    }


FEATURES = job("features", 100, 130, hyperparameters={"features-only": "true"})
SEARCHED = [job(f"searched-{n}", 130 + 4 * n, 140 + 4 * n, TuningJobArn="arn") for n in range(10)]
JOBS = [job("alone", 10, 50), FEATURES, *SEARCHED]


class SageMaker:
    """Has these jobs, and answers in pages."""

    def get_paginator(self, _operation: str) -> "SageMaker":
        return self

    def paginate(self) -> list[dict[str, Any]]:
        other = job("of another seed", 0, 1, seed="2")
        self.jobs = {one["TrainingJobName"]: one for one in [*JOBS, other]}
        names = [{"TrainingJobName": name} for name in self.jobs]
        return [{"TrainingJobSummaries": names[:3]}, {"TrainingJobSummaries": names[3:]}]

    def describe_training_job(self, *, TrainingJobName: str) -> dict[str, Any]:
        return self.jobs[TrainingJobName]


def test_a_search_takes_from_its_features_to_its_last_job() -> None:
    found = times(JOBS)
    assert found == {
        "one job": 40.0,
        "the search": 76.0,
        "of it the features": 30.0,
        "all jobs of the search": 130.0,
        "longest of the ten": 10.0,
    }
    figures = figures_of([found])
    assert figures["the search in times of one job"] == 1.9
    assert figures["all jobs of the search in times of one job"] == 3.25
    assert figures["one job"]["median_s"] == 40.0


def test_a_search_that_lacks_jobs_is_no_figure() -> None:
    with pytest.raises(SystemExit, match="had 9 training jobs, not 10"):
        times(JOBS[:-1])


def test_only_the_jobs_of_the_round_count() -> None:
    assert described(SageMaker(), "1") == JOBS

"""The tuning job: created once for the same settings and data, followed to its end with its training jobs."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial
from typing import Any

from infra.blueprint import TRAINING_LOGS, Blueprint
from infra.clients import Clients
from infra.errors import StepFailed
from infra.network.lookup import placed
from infra.patience import watch
from infra.resources import titles
from infra.resources.logs import delete_streams
from infra.resources.resource import Change, Resource, State, find
from infra.resources.training import FINAL, start_job, stop_job
from infra.wait import poll

_ATTEMPTS = 20


@dataclass(frozen=True)
class Trial:
    """One training job of a tuning job. `value` is its objective, None before there is one; `values` are the tuned
    hyperparameters."""

    name: str
    status: str
    values: Mapping[str, str] = field(default_factory=dict)
    value: float | None = None
    started: datetime | None = None
    ended: datetime | None = None

    @property
    def number(self) -> int:
        """Its place among the jobs: AWS writes it into the name, from 1."""
        return int(self.name.rsplit("-", 2)[1])

    @property
    def has_ended(self) -> bool:
        """Whether its objective is its last."""
        return self.status in FINAL

    @property
    def was_stopped(self) -> bool:
        """By early stopping, or by a person."""
        return self.status == "Stopped"


Show = Callable[[State, list[Trial]], None]


def next_request(sagemaker: Any, blueprint: Blueprint, features_job: str = "") -> dict[str, Any]:
    """The request of the tuning job that is completed or runs for this blueprint, else of the one to create: a job that
    failed has used up its name. `features_job` is the one whose features it uses. Raises StepFailed after too many
    failures."""
    for attempt in range(1, _ATTEMPTS + 1):
        request = blueprint.tuning_request(attempt, features_job)
        name = request["HyperParameterTuningJobName"]
        found = find(sagemaker.describe_hyper_parameter_tuning_job, HyperParameterTuningJobName=name)
        if found is None or found["HyperParameterTuningJobStatus"] in ("Completed", "InProgress"):
            return request
    raise StepFailed(
        f"{_ATTEMPTS} tuning jobs with these settings and data have failed or were stopped.",
        f"Change a setting or the data; the reasons are in the log group {TRAINING_LOGS}.",
    )


def trials(sagemaker: Any, name: str) -> list[Trial]:
    """The training jobs of a tuning job so far, by number."""
    pages = sagemaker.get_paginator("list_training_jobs_for_hyper_parameter_tuning_job").paginate(
        HyperParameterTuningJobName=name
    )
    found = [_trial(summary) for page in pages for summary in page["TrainingJobSummaries"]]
    return sorted(found, key=lambda trial: trial.number)


def best_of(sagemaker: Any, names: Iterator[str]) -> tuple[str, Trial] | None:
    """The tuning job of these names that was created last and has a best training job, and that job; None for none."""
    described = [sagemaker.describe_hyper_parameter_tuning_job(HyperParameterTuningJobName=name) for name in names]
    for found in sorted(described, key=lambda job: job["CreationTime"], reverse=True):
        if best := found.get("BestTrainingJob"):
            return str(found["HyperParameterTuningJobName"]), _trial(best)
    return None


class TuningJob(Resource):
    """A completed tuning job. `show` gets its description and its training jobs each time that they are asked for. To
    read and delete one, a request that holds only HyperParameterTuningJobName is enough."""

    title = titles.TUNING_JOB
    depends_on = (
        titles.BUCKET, titles.DATA, titles.WEIGHTS, titles.TRAINING_ROLE, titles.FEATURES_JOB, titles.JOBS_GROUP,
        titles.S3_ENDPOINT,
    )  # fmt: skip

    def __init__(self, clients: Clients, request: Mapping[str, Any], show: Show) -> None:
        self._clients, self._request, self._show = clients, request, show
        self.name = request["HyperParameterTuningJobName"]

    def read(self) -> State | None:
        """DescribeHyperParameterTuningJob's answer."""
        describe = self._clients.sagemaker.describe_hyper_parameter_tuning_job
        return find(describe, HyperParameterTuningJobName=self.name)

    def diff(self, state: State) -> list[Change]:
        """Its status, until it is completed."""
        status = state["HyperParameterTuningJobStatus"]
        return [] if status == "Completed" else [Change("HyperParameterTuningJobStatus", status, "Completed")]

    def create(self) -> str:
        """Start it, and follow it to its end. Raises StepFailed with its FailureReason."""
        definition = placed(self._clients.ec2, self._request["TrainingJobDefinition"])
        request = {**self._request, "TrainingJobDefinition": definition}
        create = partial(self._clients.sagemaker.create_hyper_parameter_tuning_job, **request)
        start_job(create, self._clients, definition)
        return self._follow()

    def update(self, state: State, changes: list[Change]) -> str:
        """Follow it to its end, as `create` does."""
        return self._follow()

    def delete(self) -> None:
        """Stop it if it runs, and wait for its end; then delete it, its training jobs and their logs."""
        sagemaker = self._clients.sagemaker
        stop = partial(sagemaker.stop_hyper_parameter_tuning_job, HyperParameterTuningJobName=self.name)
        stop_job(self, "HyperParameterTuningJobStatus", stop, self._clients.poll_s)
        children = trials(sagemaker, self.name)
        sagemaker.delete_hyper_parameter_tuning_job(HyperParameterTuningJobName=self.name)
        for trial in children:
            sagemaker.delete_training_job(TrainingJobName=trial.name)
            delete_streams(self._clients.logs, TRAINING_LOGS, f"{trial.name}/")

    def remark(self, state: State) -> str:
        """Its best objective and the hyperparameters that led to it."""
        best = state.get("BestTrainingJob")
        if best is None:
            return ""
        trial, metric = _trial(best), best["FinalHyperParameterTuningJobObjectiveMetric"]["MetricName"]
        found = ", ".join(f"{name}={value}" for name, value in trial.values.items())
        return f"{metric} {trial.value:.3f} with {found}"

    def _follow(self) -> str:
        sagemaker = self._clients.sagemaker
        describe = partial(sagemaker.describe_hyper_parameter_tuning_job, HyperParameterTuningJobName=self.name)
        look = watch(describe, f"The tuning job {self.name}")
        while True:
            found = look()
            self._show(found, trials(sagemaker, self.name))
            if found["HyperParameterTuningJobStatus"] in FINAL:
                break
            poll(self._clients.poll_s, "Completed")
        if found["HyperParameterTuningJobStatus"] != "Completed":
            reason = found.get("FailureReason") or "it was stopped"
            raise StepFailed(
                f"The tuning job {self.name} failed: {reason.rstrip('.')}.",
                f"Read its training jobs' logs in the log group {TRAINING_LOGS}, and run it again.",
            )
        return self.remark(found)


def _trial(summary: Mapping[str, Any]) -> Trial:
    """Of a HyperParameterTrainingJobSummary."""
    objective = summary.get("FinalHyperParameterTuningJobObjectiveMetric")
    return Trial(
        name=summary["TrainingJobName"],
        status=summary["TrainingJobStatus"],
        values=summary.get("TunedHyperParameters", {}),
        value=None if objective is None else float(objective["Value"]),
        started=summary.get("TrainingStartTime"),
        ended=summary.get("TrainingEndTime"),
    )

"""The training job: created once for the same settings and data, followed to its end with its log."""

import time
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from typing import Any

from botocore.exceptions import ClientError

from infra import shortage
from infra.blueprint import TRAINING_LOGS, Blueprint
from infra.clients import Clients
from infra.errors import StepFailed
from infra.network.lookup import placed
from infra.patience import SAGEMAKER, once_role_is_known, watch
from infra.resources import titles
from infra.resources.logs import Follower, delete_streams, tail
from infra.resources.resource import Change, Resource, State, find
from infra.settings import ModelSettings
from infra.wait import poll

STOP_LIMIT_S = 180.0  # SageMaker gives a job 120 s from SIGTERM to SIGKILL
_ATTEMPTS = 20
FINAL = ("Completed", "Failed", "Stopped")


def next_request(sagemaker: Any, blueprint: Blueprint, model: ModelSettings) -> dict[str, Any]:
    """The request of the job that is completed or runs for this model, else of the one to create: a job that failed
    has used up its name. Raises StepFailed after too many failures."""
    return _next(sagemaker, partial(blueprint.training_request, model))


def next_features_request(sagemaker: Any, blueprint: Blueprint) -> dict[str, Any]:
    """As `next_request`, of the job that computes the features for a search."""
    return _next(sagemaker, blueprint.features_request)


def completed_job(sagemaker: Any, blueprint: Blueprint, model: ModelSettings) -> State | None:
    """DescribeTrainingJob's answer for the job that is completed for this model, however many have failed before it;
    None where there is none."""
    jobs = (job for _, job in _attempts(sagemaker, partial(blueprint.training_request, model)) if job)
    return next((job for job in jobs if job["TrainingJobStatus"] == "Completed"), None)


def _next(sagemaker: Any, request_of: Callable[[int], dict[str, Any]]) -> dict[str, Any]:
    for request, job in _attempts(sagemaker, request_of):
        if job is None or job["TrainingJobStatus"] in ("Completed", "InProgress"):
            return request
    raise StepFailed(
        f"{_ATTEMPTS} training jobs with these settings and data have failed.",
        f"Change a hyperparameter or the data; the reasons are in the log group {TRAINING_LOGS}.",
    )


def _attempts(
    sagemaker: Any, request_of: Callable[[int], dict[str, Any]]
) -> Iterator[tuple[dict[str, Any], State | None]]:
    """Each request with its job: to the first that has none, or to the last that there may be."""
    for attempt in range(1, _ATTEMPTS + 1):
        request = request_of(attempt)
        job = find(sagemaker.describe_training_job, TrainingJobName=request["TrainingJobName"])
        yield request, job
        if job is None:
            return


def start_job(create: Callable[[], object], clients: Clients, training: Mapping[str, Any]) -> None:
    """Create a job of any kind, whose training jobs have the RoleArn and the ResourceConfig of `training`. Raises
    StepFailed when SageMaker cannot assume the role, and when the account's quota is too low."""
    try:
        once_role_is_known(create, clients.iam, training["RoleArn"], SAGEMAKER)
    except ClientError as error:
        kind = training.get("ResourceConfig", {}).get("InstanceType", "")
        if problem := shortage.of_refusal(error, kind, clients.region):
            raise problem from error
        raise


def stop_job(job: Resource, status: str, stop: Callable[[], object], poll_s: float) -> None:
    """Stop a job of any kind if it runs, and wait for its end. `status` is the member of its description that says so.
    Raises StepFailed when it does not end in time."""
    found = job.read()
    if found and found[status] == "InProgress":
        stop()
    deadline = time.monotonic() + STOP_LIMIT_S
    while found and found[status] not in FINAL:
        if time.monotonic() > deadline:
            reason = f"The {job.title.lower()} {job.name} did not stop within {STOP_LIMIT_S:.0f} s."
            raise StepFailed(reason, "Run this again.")
        poll(poll_s, "Stopped")
        found = job.read()


class TrainingJob(Resource):
    """A completed training job. `show_line` gets the lines of its log while it runs. To read and delete one, a request
    that holds only TrainingJobName is enough."""

    depends_on = (
        titles.BUCKET,
        titles.DATA,
        titles.WEIGHTS,
        titles.TRAINING_ROLE,
        titles.JOBS_GROUP,
        titles.S3_ENDPOINT,
    )

    def __init__(
        self, clients: Clients, request: Mapping[str, Any], show_line: Callable[[str], None], model: str = ""
    ) -> None:
        self._clients, self._request, self._show_line = clients, request, show_line
        self.title = titles.of_model(titles.TRAINING_JOB, model)
        self.name = request["TrainingJobName"]

    def read(self) -> State | None:
        """DescribeTrainingJob's answer."""
        return find(self._clients.sagemaker.describe_training_job, TrainingJobName=self.name)

    def diff(self, state: State) -> list[Change]:
        """Its status, until it is completed."""
        status = state["TrainingJobStatus"]
        return [] if status == "Completed" else [Change("TrainingJobStatus", status, "Completed")]

    def create(self) -> str:
        """Start it, and follow it to its end, which takes minutes. Raises StepFailed with its FailureReason and the end
        of its log, and when SageMaker cannot assume its role, or the account has too few instances of its type."""
        request = placed(self._clients.ec2, dict(self._request))
        create = partial(self._clients.sagemaker.create_training_job, **request)
        start_job(create, self._clients, self._request)
        return self._follow()

    def update(self, state: State, changes: list[Change]) -> str:
        """Follow it to its end, as `create` does."""
        return self._follow()

    def delete(self) -> None:
        """Stop it if it runs, and wait for its end; then delete it and its log."""
        stop = partial(self._clients.sagemaker.stop_training_job, TrainingJobName=self.name)
        stop_job(self, "TrainingJobStatus", stop, self._clients.poll_s)
        self._clients.sagemaker.delete_training_job(TrainingJobName=self.name)
        delete_streams(self._clients.logs, TRAINING_LOGS, f"{self.name}/")

    def remark(self, state: State) -> str:
        """Its last metrics."""
        return ", ".join(f"{m['MetricName']} {m['Value']:.3f}" for m in state.get("FinalMetricDataList", []))

    def _follow(self) -> str:
        follower = Follower(self._clients.logs, TRAINING_LOGS, f"{self.name}/", self._show_line)
        told = 0
        describe = partial(self._clients.sagemaker.describe_training_job, TrainingJobName=self.name)
        look = watch(describe, f"The training job {self.name}")
        while True:
            found = look()
            follower.read()
            transitions = found["SecondaryStatusTransitions"]
            for transition in transitions[told:]:
                if transition["Status"] not in FINAL:
                    self._show_line(transition.get("StatusMessage") or transition["Status"])
            told = len(transitions)
            if found["TrainingJobStatus"] in FINAL:
                break
            poll(self._clients.poll_s, "Completed")
        if found["TrainingJobStatus"] != "Completed":
            reason = found.get("FailureReason") or f"it ended as {found['SecondaryStatus']}"
            if problem := shortage.of_failure(reason, found.get("ResourceConfig", {}).get("InstanceType", "")):
                raise problem
            raise StepFailed(
                f"The training job {self.name} failed: {reason.rstrip('.')}.",
                "Mend what the reason and the log above say, and run it again.",
                tail(self._clients.logs, TRAINING_LOGS, f"{self.name}/"),
            )
        if board := found.get("TensorBoardOutputConfig"):
            self._show_line(f"TensorBoard files: {board['S3OutputPath'].rstrip('/')}/{self.name}/tensorboard-output")
        return self.remark(found)

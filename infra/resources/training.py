"""The training job: created once for the same settings and data, followed to its end with its log."""

import time
from collections.abc import Callable
from typing import Any

from botocore.exceptions import ClientError

from infra.clients import Clients
from infra.errors import StepFailed
from infra.plan import TRAINING_LOGS, Plan
from infra.resources import CREATED, UNCHANGED, Change, is_missing
from infra.resources.logs import Follower, destroy_streams, tail

_ATTEMPTS = 20
_FINAL = ("Completed", "Failed", "Stopped")
STOP_LIMIT_S = 180.0  # SageMaker gives a job 120 s from SIGTERM to SIGKILL


def ensure_training(clients: Clients, plan: Plan, on_line: Callable[[str], None]) -> tuple[Change, dict[str, Any]]:
    """The completed job's description. One that runs is followed, one that failed gets a successor. Raises StepFailed
    with the job's FailureReason and the end of its log."""
    for attempt in range(1, _ATTEMPTS + 1):
        request = plan.training_request(attempt)
        name = request["TrainingJobName"]
        found = describe(clients.sagemaker, name)
        if found is None:
            clients.sagemaker.create_training_job(**request)
        elif found["TrainingJobStatus"] == "Completed":
            return UNCHANGED, found
        elif found["TrainingJobStatus"] != "InProgress":
            continue
        return CREATED, _follow(clients, name, on_line)
    raise StepFailed(
        f"{_ATTEMPTS} training jobs with these settings and data have failed.",
        f"Change a hyperparameter or the data; the reasons are in the log group {TRAINING_LOGS}.",
    )


def destroy_training(clients: Clients, name: str) -> None:
    """Stop the job if it runs and wait for its end; then delete it and its log."""
    found = describe(clients.sagemaker, name)
    if found is None:
        return
    if found["TrainingJobStatus"] == "InProgress":
        clients.sagemaker.stop_training_job(TrainingJobName=name)
    deadline = time.monotonic() + STOP_LIMIT_S
    while found and found["TrainingJobStatus"] not in _FINAL:
        if time.monotonic() > deadline:
            raise StepFailed(f"The training job {name} did not stop within {STOP_LIMIT_S:.0f} s.", "Run this again.")
        time.sleep(clients.poll_s)
        found = describe(clients.sagemaker, name)
    clients.sagemaker.delete_training_job(TrainingJobName=name)
    destroy_streams(clients.logs, TRAINING_LOGS, f"{name}/")


def describe(sagemaker: Any, name: str) -> dict[str, Any] | None:
    """DescribeTrainingJob's answer, or None when there is no such job."""
    try:
        return dict(sagemaker.describe_training_job(TrainingJobName=name))
    except ClientError as error:
        if not is_missing(error):
            raise
        return None


def _follow(clients: Clients, name: str, on_line: Callable[[str], None]) -> dict[str, Any]:
    follower = Follower(clients.logs, TRAINING_LOGS, f"{name}/", on_line)
    told = 0
    while True:
        found = clients.sagemaker.describe_training_job(TrainingJobName=name)
        follower.read()
        transitions = found["SecondaryStatusTransitions"]
        for transition in transitions[told:]:
            if transition["Status"] not in _FINAL:
                on_line(transition.get("StatusMessage") or transition["Status"])
        told = len(transitions)
        if found["TrainingJobStatus"] in _FINAL:
            break
        time.sleep(clients.poll_s)
    if found["TrainingJobStatus"] != "Completed":
        reason = found.get("FailureReason") or f"it ended as {found['SecondaryStatus']}"
        raise StepFailed(
            f"The training job {name} failed: {reason.rstrip('.')}.",
            "Mend what the reason and the log above say, and run it again.",
            tail(clients.logs, TRAINING_LOGS, f"{name}/"),
        )
    return dict(found)

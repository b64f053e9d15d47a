"""Training jobs: CreateTrainingJob and its kin."""

import shutil
import time
import uuid
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from stagemaker.api.listing import page
from stagemaker.api.tags import is_taken, tag_list
from stagemaker.aws.account import Aws
from stagemaker.aws.cloudwatch import Logs
from stagemaker.core.errors import ApiError, in_use, validation_error
from stagemaker.core.refs import Scope
from stagemaker.core.store import Record, Store
from stagemaker.runtime.contract import Runtime
from stagemaker.training.plan import DEFAULT_RUNTIME_S, TrainingPlan, training_plan
from stagemaker.training.record import TrainingBook, first_status, next_status
from stagemaker.training.run import TrainingRun
from stagemaker.training.unsupported import refuse_unsupported

KIND = "training-job"
CLOSE_WAIT_S = 20.0  # (ours) for an upload that hangs
ENDED = ("Completed", "Failed", "Stopped")
_RECORDED = frozenset({"Tags"})  # in the record, but not in DescribeTrainingJob's answer
_SUMMARY = ("TrainingJobName", "TrainingJobArn", "CreationTime", "LastModifiedTime", "TrainingJobStatus")


class Training:
    """The operations, and the jobs that run. Thread-safe; `close` once."""

    def __init__(
        self, store: Store, runtime: Runtime, aws: Aws, logs: Logs, clock: Callable[[], float], work_dir: Path
    ) -> None:
        self._store, self._runtime, self._aws, self._logs = store, runtime, aws, logs
        self._clock, self._work_dir = clock, work_dir
        self._runs: dict[tuple[Scope, str], TrainingRun] = {}
        self._closed = False

    def create_training_job(self, scope: Scope, request: dict[str, Any]) -> dict[str, Any]:
        """Check everything that can be checked before, then start the job."""
        refuse_unsupported(request)
        plan, tags = training_plan(scope, request), tag_list(request)
        self._refuse_taken(scope, plan)
        self._runtime.check_image(plan.image, plan.entrypoint, plan.command)
        self._runtime.check_hardware(plan.instance_type, len(plan.hosts))
        environment = self._aws.role_environment(scope, request["RoleArn"])
        self._check_buckets(scope, plan, request)
        with self._store.lock:
            self._refuse_taken(scope, plan)
            if self._closed:
                raise ApiError("ServiceUnavailable", "LocalStack is shutting down.", 503)
            run = self._new_run(scope, plan, environment)
            run.start()  # raises when there are no more threads; its first step waits for our lock
            self._store.put(scope, KIND, plan.name, self._new_record(plan, request, tags))
            self._runs[scope, plan.name] = run
        return {"TrainingJobArn": plan.arn}

    def describe_training_job(self, scope: Scope, request: dict[str, Any]) -> dict[str, Any]:
        """Everything about the job as it is now."""
        record = self._get(scope, request["TrainingJobName"])
        return {key: value for key, value in record.items() if key not in _RECORDED}

    def list_training_jobs(self, scope: Scope, request: dict[str, Any]) -> dict[str, Any]:
        """Summaries, one page of them. No job of ours has a warm pool or a training plan."""
        records = self._store.all(scope, KIND)
        if {"WarmPoolStatusEquals", "TrainingPlanArnEquals"} & request.keys():
            records = []
        sort = {"CreationTime": "CreationTime", "Name": "TrainingJobName", "Status": "TrainingJobStatus"}
        jobs, token = page(
            records, request, name="TrainingJobName", sort=sort, status="TrainingJobStatus", order="Ascending"
        )
        summaries = [{key: job[key] for key in (*_SUMMARY, "TrainingEndTime") if key in job} for job in jobs]
        return {"TrainingJobSummaries": summaries, **({"NextToken": token} if token else {})}

    def stop_training_job(self, scope: Scope, request: dict[str, Any]) -> dict[str, Any]:
        """Ask the job to end; a job that is ending already is left to it."""
        name = request["TrainingJobName"]
        with self._store.lock:
            record = self._get(scope, name)
            status = record["TrainingJobStatus"]
            if status in ENDED:
                raise validation_error(f"The request was rejected because the training job is in status {status}.")
            if status != "Stopping":
                changes = next_status(record, "Stopping", "Stopping", None, self._clock())
                self._store.update(scope, KIND, name, **changes)
                self._runs[scope, name].stop()
        return {}

    def delete_training_job(self, scope: Scope, request: dict[str, Any]) -> dict[str, Any]:
        """Forget an ended job; what it put in S3 stays."""
        name = request["TrainingJobName"]
        with self._store.lock:
            status = self._get(scope, name)["TrainingJobStatus"]
            if status not in ENDED:
                raise in_use(f"The training job {name} is in status {status}: stop it first, or wait for its end.")
            self._store.delete(scope, KIND, name)
        return {}

    def close(self) -> None:
        """Kill every job, and wait until their folders are gone, but not for ever."""
        with self._store.lock:
            self._closed = True
            runs = list(self._runs.values())
        for run in runs:
            run.abort()
        deadline = time.monotonic() + CLOSE_WAIT_S
        for run in runs:
            run.join(max(0.0, deadline - time.monotonic()))
        shutil.rmtree(self._work_dir, ignore_errors=True)

    def _get(self, scope: Scope, name: str) -> Record:
        record = self._store.get(scope, KIND, name)
        if not record:
            raise validation_error(f"Requested resource not found: there is no training job '{name}'.")
        return record

    def _refuse_taken(self, scope: Scope, plan: TrainingPlan) -> None:
        if is_taken(self._store, scope, KIND, plan.arn):
            raise in_use(
                "Training job names must be unique within an AWS account and region, and a training job with this "
                f"name already exists ({plan.arn})"
            )

    def _check_buckets(self, scope: Scope, plan: TrainingPlan, request: Mapping[str, Any]) -> None:
        """AWS looks for the data before it takes the job; for the output bucket too (ours: else a long job is lost)."""
        for channel in plan.channels:
            bucket = channel.uri.split("/")[2]
            here = self._aws.bucket_region(scope, channel.uri) == scope.region
            if not (here and self._aws.prefix_has_objects(scope, channel.uri)):
                raise validation_error(
                    f'No S3 objects found under S3 URL "{channel.uri}" given in input data source. Please ensure that '
                    f"the bucket exists in the selected region ({scope.region}), that objects exist under that S3 "
                    f'prefix, and that the role "{request["RoleArn"]}" has "s3:ListBucket" permissions on bucket '
                    f'"{bucket}".'
                )
        for uri in (plan.model_uri, *([plan.checkpoints.uri] if plan.checkpoints else [])):
            if self._aws.bucket_region(scope, uri) != scope.region:
                bucket = uri.split("/")[2]
                raise validation_error(f'There is no bucket "{bucket}" in the region {scope.region}: create it first.')

    def _new_record(self, plan: TrainingPlan, request: Mapping[str, Any], tags: list[dict[str, str]]) -> dict[str, Any]:
        return {
            **request,
            "Tags": tags,
            "TrainingJobArn": plan.arn,
            "ModelArtifacts": {"S3ModelArtifacts": plan.model_uri},
            "StoppingCondition": {"MaxRuntimeInSeconds": DEFAULT_RUNTIME_S, **request.get("StoppingCondition", {})},
            "EnableNetworkIsolation": False,
            "EnableManagedSpotTraining": False,
            "EnableInterContainerTrafficEncryption": request.get("EnableInterContainerTrafficEncryption", False),
            **first_status(self._clock()),
        }

    def _new_run(self, scope: Scope, plan: TrainingPlan, environment: dict[str, str]) -> TrainingRun:
        folder = self._work_dir / f"{plan.name}-{uuid.uuid4().hex[:8]}"
        book = TrainingBook(
            self._store, self._logs, self._clock, scope, plan, on_end=lambda: self._runs.pop((scope, plan.name), None)
        )
        return TrainingRun(
            scope, plan, environment, folder, book, runtime=self._runtime, aws=self._aws, clock=self._clock
        )

"""Training jobs: what their kind has to say of itself, and their work from the download to the upload."""

import logging
import math
import shutil
import time
from collections.abc import Container, Mapping
from functools import partial
from http import HTTPStatus
from pathlib import Path
from typing import Any

from stagemaker.core.disk import explain
from stagemaker.core.errors import ApiError
from stagemaker.core.kinds import TRAINING_JOB
from stagemaker.core.refs import Kind, Ref
from stagemaker.core.store import Record
from stagemaker.jobs.artifacts import read_failure
from stagemaker.jobs.checks import Checks
from stagemaker.jobs.failures import failure_reason
from stagemaker.jobs.follow import POLL_S, End, EndReason
from stagemaker.jobs.job import Job
from stagemaker.jobs.kind import JobFailed, Outcome
from stagemaker.jobs.statuses import COMPLETED, STOPPED, STOPPING, StatusTable
from stagemaker.runtime.contract import ContainerSpec
from stagemaker.runtime.hardware import sentence
from stagemaker.training.metric_reader import AFTER_S, MetricReader, Values
from stagemaker.training.plan import DEFAULT_RUNTIME_S, TrainingPlan, training_plan
from stagemaker.training.spot import CAPACITY_S, SHARE, Schedule
from stagemaker.training.statuses import STATUSES
from stagemaker.training.transfers import Transfers
from stagemaker.training.unsupported import refuse_unsupported

LOG = logging.getLogger(__name__)
LOG_GROUP = "/aws/sagemaker/TrainingJobs"


class Training:
    """The kind of training jobs."""

    kind: Kind = TRAINING_JOB
    statuses: StatusTable = STATUSES
    log_group = LOG_GROUP
    list_order = "Ascending"
    missing = missing_to_stop = "Requested resource not found."
    taken = (
        "Training job names must be unique within an AWS account and region, and a training job with this name already "
        "exists ({arn})"
    )
    summary_members = ("SecondaryStatus",)
    undescribed = ()
    can_be_deleted = True
    filters_status_last = True

    def __init__(self, schedule: Schedule | None = None, capacity_s: float = CAPACITY_S) -> None:
        """With a schedule managed spot training is interrupted by it, without one only when somebody asks for it. Then
        it has no machines for `capacity_s`."""
        self._schedule, self._capacity_s = schedule, capacity_s

    def plan(self, ref: Ref, request: Mapping[str, Any]) -> TrainingPlan:
        """The request as a plan. Raises ApiError, 501 for what is not implemented."""
        refuse_unsupported(request)
        return training_plan(ref, request)

    def check(self, plan: TrainingPlan, checks: Checks) -> None:
        """Image, hardware, role, the data of each channel, and the buckets that results go to."""
        checks.image(plan.image, plan.entrypoint, plan.command)
        for group in plan.groups:
            checks.hardware(group.instance_type, len(plan.hosts))
        checks.mounts(mount.target for mount in plan.mounts(Path(plan.hosts[0])))
        if plan.isolated:
            checks.isolation()
        checks.role(plan.role_arn, plan.subnet)
        for channel in plan.channels:
            checks.input(channel.source.uri, plan.role_arn)
        checks.output(plan.model_uri)
        for saved in plan.saved:
            checks.output(saved.uri)

    def record(self, plan: TrainingPlan, request: Mapping[str, Any]) -> dict[str, Any]:
        """What DescribeTrainingJob answers also where the request does not say it: clients of AWS rely on it."""
        defaults = {"CompressionType": "None", "RecordWrapperType": "None"}
        channels = [{**defaults, **channel} for channel in request.get("InputDataConfig", [])]
        algorithm = request["AlgorithmSpecification"]
        series = bool(algorithm.get("MetricDefinitions"))
        return {
            **({"InputDataConfig": channels} if channels else {}),
            **_debug_hook(request),
            "AlgorithmSpecification": {"EnableSageMakerMetricsTimeSeries": series, **algorithm},
            "OutputDataConfig": {"KmsKeyId": "", **request["OutputDataConfig"]},
            "ProfilingStatus": "Disabled",
            "ModelArtifacts": {"S3ModelArtifacts": plan.model_uri},
            "StoppingCondition": {"MaxRuntimeInSeconds": DEFAULT_RUNTIME_S, **request.get("StoppingCondition", {})},
            "EnableNetworkIsolation": plan.isolated,
            "EnableManagedSpotTraining": plan.max_wait_s is not None,
            "EnableInterContainerTrafficEncryption": request.get("EnableInterContainerTrafficEncryption", False),
        }

    def is_listed(self, record: Record, request: Mapping[str, Any]) -> bool:  # noqa: ARG002 - as the protocol has it
        """No job of ours has a warm pool or a training plan."""
        return not {"WarmPoolStatusEquals", "TrainingPlanArnEquals"} & request.keys()

    def ending(self, record: Record) -> dict[str, Any]:
        """The job is paid for from the start of its download to its end, a second at least; managed spot training for
        a share of the time that it had machines."""
        end_s = record[STATUSES.end_member]
        if not record.get("EnableManagedSpotTraining"):
            seconds = max(1, round(end_s - record.get(STATUSES.start_member, end_s)))
            return {"TrainingTimeInSeconds": seconds, "BillableTimeInSeconds": seconds}
        seconds = max(1, round(_spent_s(record, ("Downloading", "Training", "Uploading", STOPPING), end_s)))
        return {"TrainingTimeInSeconds": seconds, "BillableTimeInSeconds": max(1, round(seconds * SHARE))}

    def work(self, job: Job[TrainingPlan]) -> Outcome:
        """Download, train, upload; all of it again after each interruption of managed spot training and, as often as
        RetryStrategy says, when the machine is at fault. Raises JobFailed with the container's own reason."""
        left = job.plan.retries
        while True:
            try:
                outcome = _attempt(job, self._schedule)
            except (ApiError, MachineFailed) as error:
                by_machine = isinstance(error, MachineFailed) or error.status >= HTTPStatus.INTERNAL_SERVER_ERROR
                if job.signals.any or not by_machine or not left:
                    raise
                left -= 1
                for host in job.plan.hosts:
                    job.say(host, f"this attempt failed, and the job begins anew: {error}")
            else:
                if outcome is not None:
                    return outcome
                if not _await_capacity(job, self._capacity_s):
                    return Outcome("MaxWaitTimeExceeded" if job.enter(STOPPING) else STOPPED)
            shutil.rmtree(job.folder)
            if not job.enter("Starting"):
                return Outcome(STOPPED)


class MachineFailed(JobFailed):
    """The engine, or somebody else, ended a container: its program is not to blame."""


def _attempt(job: Job[TrainingPlan], schedule: Schedule | None) -> Outcome | None:
    """None: managed spot training was interrupted."""
    job.enter("Downloading")
    transfers = Transfers(job)
    transfers.download(lambda: job.signals.any)
    if not transfers.has_checkpoints:
        job.forget_metrics()
    if job.signals.any:
        return Outcome(STOPPED)
    with transfers.streaming():
        end = _train(job, transfers, schedule)
    if job.signals.aborted:
        return Outcome(STOPPED)
    if end.reason is EndReason.EXITED:
        transfers.check_streams()
    if end.failed is not None:
        _save_what_failed(job, transfers)
        told, exited = read_failure(transfers.bases[end.failed]), end.exits[end.failed]
        failure = MachineFailed if exited.lost else JobFailed
        raise failure(failure_reason(job.plan.hosts, end.failed, exited, told))
    transfers.save_folders(last=True)
    if end.reason is EndReason.INTERRUPTED and job.plan.max_wait_s is not None:
        job.enter("Interrupted")
        return None
    step = "MaxWaitTimeExceeded" if end.reason is EndReason.TIMED_OUT and _left_s(job) <= 0 else _LAST_STEPS[end.reason]
    job.enter("Uploading")
    transfers.save_results(model=True)
    return Outcome(step)


def _await_capacity(job: Job[TrainingPlan], capacity_s: float) -> bool:
    """Wait until the job has machines again; False when it is to end before, or has waited for too long."""
    end_s = time.monotonic() + capacity_s
    while not job.signals.any and _left_s(job) > 0:
        if time.monotonic() >= end_s:
            return True
        time.sleep(POLL_S)
    return False


def _left_s(job: Job[TrainingPlan]) -> float:
    """What is left of the time that managed spot training may take in all; more than any time for other training."""
    if job.plan.max_wait_s is None:
        return math.inf
    return job.begun_s + job.plan.max_wait_s - job.elapsed()


def _debug_hook(request: Mapping[str, Any]) -> dict[str, Any]:
    """DebugHookConfig with its list of collections, where the request has one."""
    hook = request.get("DebugHookConfig")
    return {"DebugHookConfig": {"CollectionConfigurations": [], **hook}} if hook else {}


_LAST_STEPS = {
    EndReason.EXITED: COMPLETED,
    EndReason.STOPPED: STOPPED,
    EndReason.INTERRUPTED: STOPPED,  # of training that is not managed spot training: nobody interrupts it
    EndReason.TIMED_OUT: "MaxRuntimeExceeded",
}


def _train(job: Job[TrainingPlan], transfers: Transfers, schedule: Schedule | None) -> End:
    """Run the containers to their end."""
    reader = MetricReader(job.plan.metrics, partial(_record, job), job.clock, job.supervisor)
    attempt, begun_s = job.attempt(reader.take), job.elapsed()
    interrupted_s = math.inf
    if schedule is not None and job.plan.max_wait_s is not None:
        interrupted_s = schedule.interruption_s(job.ref.name, attempt.number)

    def on_tick() -> None:
        transfers.check_streams()
        transfers.save_folders_sometimes()
        if job.elapsed() - begun_s >= interrupted_s:
            attempt.signals.interrupt()

    try:
        return attempt.run(
            _specs(job, transfers),
            min(job.plan.max_runtime_s - _spent_s(job.record, ("Training",), job.clock()), _left_s(job)),
            on_started=lambda hardware: job.enter("Training", sentence(hardware)),
            on_tick=on_tick,
        )
    finally:
        for skipped in reader.finish(0 if job.signals.aborted else AFTER_S):
            job.say(job.plan.hosts[0], skipped)


def _spent_s(record: Record, steps: Container[str], now_s: float) -> float:
    """How long the job was in these steps, in all."""
    return sum(
        float(step.get("EndTime", now_s)) - float(step["StartTime"])
        for step in record["SecondaryStatusTransitions"]
        if step["Status"] in steps
    )


def _record(job: Job[TrainingPlan], values: Values) -> None:
    """The metrics of all hosts are the job's."""
    for name, value, moment_s in values:
        job.metric(name, value, moment_s)
    last = {name: {"MetricName": name, "Value": value, "Timestamp": moment_s} for name, value, moment_s in values}

    def changes(record: Record) -> dict[str, Any]:
        before = {datum["MetricName"]: datum for datum in record.get("FinalMetricDataList", [])}
        return {"FinalMetricDataList": list({**before, **last}.values())}

    job.change(changes)


def _specs(job: Job[TrainingPlan], transfers: Transfers) -> list[ContainerSpec]:
    plan = job.plan
    specs = [
        ContainerSpec(
            name=f"{plan.name}-{host}",
            image=plan.image,
            command=plan.command,
            base_dir=base,
            environment=plan.environment,
            mounts=plan.mounts(base),
            notes=plan.notes,
            entrypoint=plan.entrypoint,
            host=host,
            group=job.folder.name if len(plan.hosts) > 1 else "",  # unique, as the folder is
            isolated=plan.isolated,
            instance_type=plan.instance_type(host),
        )
        for host, base in zip(plan.hosts, transfers.bases, strict=True)
    ]
    return [job.run_as(spec, plan.role_arn) for spec in specs]


def _save_what_failed(job: Job[TrainingPlan], transfers: Transfers) -> None:
    """Checkpoints, TensorBoard files and output data. The job's reason is its container's: ours is only logged."""
    try:
        transfers.save_folders(last=True)
        transfers.save_results(model=False)
    except (ApiError, OSError) as error:
        LOG.warning("training job %s failed, and what it made is not saved: %s", job.ref.name, explain(error))

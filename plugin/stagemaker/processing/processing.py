"""The kind of processing jobs: what its requests mean, and the run of its containers."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from stagemaker.core.kinds import PROCESSING_JOB
from stagemaker.core.refs import Kind, Ref
from stagemaker.core.store import Record
from stagemaker.jobs.artifacts import read_failure
from stagemaker.jobs.checks import Checks
from stagemaker.jobs.failures import failure_reason
from stagemaker.jobs.follow import End, EndReason
from stagemaker.jobs.job import Job
from stagemaker.jobs.kind import JobFailed, Outcome
from stagemaker.jobs.statuses import COMPLETED, STOPPED, StatusTable
from stagemaker.processing.plan import ProcessingPlan, processing_plan
from stagemaker.processing.statuses import STATUSES
from stagemaker.processing.transfers import Transfers
from stagemaker.processing.unsupported import refuse_unsupported
from stagemaker.runtime.contract import ContainerSpec


class Processing:
    """The kind of processing jobs."""

    kind: Kind = PROCESSING_JOB
    statuses: StatusTable = STATUSES
    log_group = "/aws/sagemaker/ProcessingJobs"
    list_order = "Ascending"
    missing = "Could not find requested job with name: {name}"
    missing_to_stop = "Could not find job to update with name: {name}"
    taken = "Job name must be unique within an AWS account and region, and a job with this name already exists ({arn})"
    summary_members = ("FailureReason", "ExitMessage")
    undescribed = ()
    can_be_deleted = True
    filters_status_last = False

    def plan(self, ref: Ref, request: Mapping[str, Any]) -> ProcessingPlan:
        """The request as a plan. Raises ApiError, 501 for what is not implemented."""
        refuse_unsupported(request)
        return processing_plan(ref, request)

    def check(self, plan: ProcessingPlan, checks: Checks) -> None:
        """Image, hardware, role, the data of each input, and the buckets that outputs go to."""
        checks.image(plan.image, plan.entrypoint, plan.command)
        checks.hardware(plan.instance_type, len(plan.hosts))
        if plan.isolated:
            checks.isolation()
        checks.mounts(mount.target for mount in plan.mounts(Path(plan.hosts[0])))
        checks.role(plan.role_arn, plan.subnet)
        for each in plan.inputs:
            checks.input(each.source.uri, plan.role_arn)
        for output in plan.outputs:
            checks.output(output.uri)

    def record(self, plan: ProcessingPlan, request: Mapping[str, Any]) -> dict[str, Any]:
        """What DescribeProcessingJob answers also where the request does not say it."""
        changes: dict[str, Any] = {"StoppingCondition": {"MaxRuntimeInSeconds": plan.max_runtime_s}}
        if "ProcessingInputs" in request:
            inputs = [{"AppManaged": False, **each} for each in request["ProcessingInputs"]]
            changes |= {"ProcessingInputs": inputs}
        if output := request.get("ProcessingOutputConfig"):
            outputs = [{"AppManaged": False, **each} for each in output["Outputs"]]
            changes |= {"ProcessingOutputConfig": {**output, "Outputs": outputs}}
        return changes

    def is_listed(self, record: Record, request: Mapping[str, Any]) -> bool:  # noqa: ARG002 - as the protocol has it
        """ListProcessingJobs has no filter of its own."""
        return True

    def ending(self, record: Record) -> dict[str, Any]:  # noqa: ARG002 - as the protocol has it
        """Nothing."""
        return {}

    def work(self, job: Job[ProcessingPlan]) -> Outcome:
        """Download, run, upload. Outputs that are sent at the end are sent only when every container ended with 0."""
        transfers = Transfers(job)
        transfers.download(lambda: job.signals.any)
        if job.signals.any:
            return Outcome(STOPPED)
        end = _run(job, transfers)
        if job.signals.aborted:
            return Outcome(STOPPED)
        if message := transfers.exit_message():
            job.change(lambda _: {"ExitMessage": message})
        if end.failed is not None:
            transfers.send_continuous(last=True)
            told = read_failure(transfers.bases[end.failed])
            raise JobFailed(failure_reason(job.plan.hosts, end.failed, end.exits[end.failed], told))
        if end.reason is not EndReason.EXITED:
            transfers.send_continuous(last=True)
            return Outcome(STOPPED)
        transfers.send_all()
        return Outcome(COMPLETED)


def _run(job: Job[ProcessingPlan], transfers: Transfers) -> End:
    """Run the containers to their end."""
    return job.attempt().run(
        _specs(job, transfers),
        job.plan.max_runtime_s,
        on_started=lambda _: job.change(lambda _: {"ProcessingStartTime": job.clock()}),
        on_tick=transfers.send_sometimes,
    )


def _specs(job: Job[ProcessingPlan], transfers: Transfers) -> list[ContainerSpec]:
    plan = job.plan
    specs = [
        ContainerSpec(
            name=f"{plan.name}-{host}",
            image=plan.image,
            command=plan.command,
            base_dir=base,
            environment=plan.environment,
            mounts=plan.mounts(base),
            entrypoint=plan.entrypoint,
            host=host,
            group=job.folder.name if len(plan.hosts) > 1 else "",  # unique, as the folder is
            instance_type=plan.instance_type,
            isolated=plan.isolated,
        )
        for host, base in zip(plan.hosts, transfers.bases, strict=True)
    ]
    return [job.run_as(spec, plan.role_arn) for spec in specs]

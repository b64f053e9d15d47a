"""The kind of transform jobs: what its requests mean, and what their run comes to."""

from collections.abc import Mapping
from typing import Any

from stagemaker.api.unsupported import not_supported
from stagemaker.core.kinds import MODEL, TRANSFORM_JOB
from stagemaker.core.refs import Kind, Ref
from stagemaker.core.store import Record
from stagemaker.core.vpc import first_subnet
from stagemaker.hosting.multi_container import containers_of, is_direct
from stagemaker.hosting.multi_model import is_multi_model
from stagemaker.jobs.checks import Checks
from stagemaker.jobs.job import Job
from stagemaker.jobs.kind import JobFailed, Outcome
from stagemaker.jobs.statuses import COMPLETED, STOPPED, StatusTable
from stagemaker.transform.plan import TransformPlan, transform_plan
from stagemaker.transform.run import LOG_GROUP, SEE_LOGS, TransformRun
from stagemaker.transform.statuses import STATUSES
from stagemaker.transform.unsupported import refuse_unsupported


class Transform:
    """The kind of transform jobs."""

    kind: Kind = TRANSFORM_JOB
    statuses: StatusTable = STATUSES
    log_group = LOG_GROUP
    list_order = "Descending"
    missing = "Could not find requested job with name: {name}"
    missing_to_stop = "Could not find job to update with name: {name}"
    taken = "Job name must be unique within an AWS account and region, and a job with this name already exists ({arn})"
    summary_members = ("FailureReason",)
    undescribed = ("LastModifiedTime",)
    can_be_deleted = False
    filters_status_last = False

    def plan(self, ref: Ref, request: Mapping[str, Any]) -> TransformPlan:
        """The request as a plan. Raises ApiError, 501 for what is not implemented."""
        refuse_unsupported(request)
        return transform_plan(ref, request)

    def check(self, plan: TransformPlan, checks: Checks) -> None:
        """The model, its image and role, hardware, the data, and the bucket that answers go to."""
        model = checks.record(MODEL, plan.model)
        containers = containers_of(model)
        if any(is_multi_model(container) for container in containers):
            raise not_supported("transform jobs of multi-model containers (Mode)")
        if is_direct(model):
            raise not_supported("transform jobs of models for direct invocation (InferenceExecutionConfig)")
        for container in containers:
            checks.image(container["Image"], None, ("serve",))
        checks.hardware(plan.instance_type, 1)  # instances of a model do not look for each other
        checks.role(model["ExecutionRoleArn"], first_subnet(model.get("VpcConfig")))
        checks.input(plan.source.uri, model["ExecutionRoleArn"])
        checks.output(plan.output_uri)

    def record(self, plan: TransformPlan, request: Mapping[str, Any]) -> dict[str, Any]:  # noqa: ARG002 - as the protocol
        """What DescribeTransformJob answers also where the request does not say it."""
        processing = {"InputFilter": "$", "OutputFilter": "$", "JoinSource": "None"}
        return {
            "TransformInput": {"CompressionType": "None", "SplitType": "None", **request["TransformInput"]},
            "TransformOutput": {"AssembleWith": "None", "KmsKeyId": "", **request["TransformOutput"]},
            "DataProcessing": {**processing, **request.get("DataProcessing", {})},
        }

    def is_listed(self, record: Record, request: Mapping[str, Any]) -> bool:  # noqa: ARG002 - as the protocol has it
        """ListTransformJobs has no filter of its own."""
        return True

    def ending(self, record: Record) -> dict[str, Any]:  # noqa: ARG002 - as the protocol has it
        """Nothing."""
        return {}

    def work(self, job: Job[TransformPlan]) -> Outcome:
        """Start the model's containers, send every object through them, and store the answers to those that could be
        answered whole. A job that is stopped stores nothing."""
        run = TransformRun(job)
        try:
            whole = run.transform()
        finally:
            run.end()
        if job.signals.any:
            return Outcome(STOPPED)
        run.store()
        if not whole:
            raise JobFailed(SEE_LOGS)
        return Outcome(COMPLETED)

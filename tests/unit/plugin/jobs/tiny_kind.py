"""A second kind of job, as small as one can be: it runs one container, again after each interruption, and keeps a file.

It has no secondary statuses and no service: one module and one row of `test_jobs.py` are all that it took.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from stagemaker.core.errors import validation_error
from stagemaker.core.refs import Kind, Ref
from stagemaker.core.store import Record
from stagemaker.jobs.checks import Checks
from stagemaker.jobs.follow import EndReason
from stagemaker.jobs.job import Job
from stagemaker.jobs.kind import JobFailed, Outcome
from stagemaker.jobs.statuses import COMPLETED, FAILED, STOPPED, STOPPING, StatusTable, Step
from stagemaker.runtime.contract import ContainerSpec

TINY_JOB = Kind("tiny-job", "TinyJob")


@dataclass(frozen=True)
class TinyPlan:
    """`child` is the name of a job of this kind that runs first, and empty for none."""

    image: str
    role_arn: str
    output_uri: str
    max_runtime_s: float
    child: str


class Tiny:
    """The kind."""

    kind = TINY_JOB
    log_group = "/aws/sagemaker/TinyJobs"
    list_order = "Ascending"
    missing = missing_to_stop = "Requested resource not found."
    taken = "There is a job called {name} ({arn})."
    summary_members = ()
    undescribed = ()
    can_be_deleted = True
    filters_status_last = False
    statuses = StatusTable(
        noun=TINY_JOB.noun,
        first="InProgress",
        started="InProgress",
        steps={
            "InProgress": Step("InProgress", then=(STOPPING, COMPLETED, FAILED, STOPPED)),
            STOPPING: Step(STOPPING, then=(COMPLETED, FAILED, STOPPED)),
            COMPLETED: Step(COMPLETED),
            FAILED: Step(FAILED),
            STOPPED: Step(STOPPED),
        },
    )

    def plan(self, ref: Ref, request: Mapping[str, Any]) -> TinyPlan:
        """ValidationException without an image."""
        if "Image" not in request:
            raise validation_error(f"The {ref.kind.words} has no Image.")
        limit_s = request.get("MaxRuntimeInSeconds", 3600)
        return TinyPlan(request["Image"], request["RoleArn"], request["OutputUri"], limit_s, request.get("Child", ""))

    def check(self, plan: TinyPlan, checks: Checks) -> None:
        """Image, hardware, role and bucket."""
        checks.image(plan.image, None, ("train",))
        checks.hardware("ml.m5.large", 1)
        checks.role(plan.role_arn, "")
        checks.output(plan.output_uri)

    def record(self, plan: TinyPlan, request: Mapping[str, Any]) -> dict[str, Any]:
        """Nothing that the request does not say."""
        return {}

    def is_listed(self, record: Record, request: Mapping[str, Any]) -> bool:
        """It has no filter of its own."""
        return True

    def ending(self, record: Record) -> dict[str, Any]:
        """Nothing."""
        return {}

    def work(self, job: Job[TinyPlan]) -> Outcome:
        """Run the child and wait for it; then the container, as often as it is interrupted."""
        plan = job.plan
        if plan.child:
            self._run_child(job)
        while True:
            job.folder.mkdir(parents=True, exist_ok=True)
            attempt = job.attempt(lambda line: job.metric("lines", float(len(line))))
            name = f"{job.ref.name}-{attempt.number}"
            spec = ContainerSpec(name, plan.image, ("train",), job.folder, host="algo-1")
            end = attempt.run([job.run_as(spec, plan.role_arn)], plan.max_runtime_s, on_started=lambda _: None)
            if end.failed is not None:
                raise JobFailed(f"AlgorithmError: exit code: {end.exits[0].code}")
            if end.reason is not EndReason.INTERRUPTED:
                break
        if end.reason is EndReason.EXITED:
            job.account.upload_file(job.ref.scope, job.folder / "result", plan.output_uri)
        return Outcome(COMPLETED if end.reason is EndReason.EXITED else STOPPED)

    def _run_child(self, job: Job[TinyPlan]) -> None:
        plan = job.plan
        request = {
            "TinyJobName": plan.child,
            "Image": plan.image,
            "RoleArn": plan.role_arn,
            "OutputUri": plan.output_uri,
        }
        child = job.submit(TINY_JOB, request)
        while not child.wait(0.02):
            if job.signals.any:
                child.stop()
        if (child.record() or {})["TinyJobStatus"] != COMPLETED:
            raise JobFailed(f"ClientError: {plan.child} did not complete")

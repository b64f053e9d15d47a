"""The five operations of any kind of job, and the life of its jobs from create to the end, written once."""

import logging
import shutil
import uuid
from collections.abc import Mapping
from functools import partial
from typing import Any

from stagemaker.api.listing import listing
from stagemaker.api.operation import Call, Resource, Response, described, every, named
from stagemaker.api.tags import tag_list
from stagemaker.core.disk import explain
from stagemaker.core.errors import ApiError, in_use, validation_error
from stagemaker.core.refs import Kind, Ref, Scope
from stagemaker.core.store import Record
from stagemaker.jobs.checks import Checks
from stagemaker.jobs.job import Handle, Job, JobContext
from stagemaker.jobs.kind import FAILURE_CHARS, JobFailed, JobKind, Outcome
from stagemaker.jobs.statuses import FAILED, STOPPING

LOG = logging.getLogger(__name__)
SHUT_DOWN = "InternalServerError: LocalStack was shut down."


class Jobs[Plan]:
    """Every job of one kind. Thread-safe. Each job has a thread of the supervisor, which also ends it."""

    def __init__(self, kind: JobKind[Plan], context: JobContext) -> None:
        self._kind, self._context, self._store = kind, context, context.store
        self._folder = context.work_dir / kind.kind.segment
        self._running: dict[Ref, Job[Plan]] = {}  # under the store's lock
        context.kinds[kind.kind] = self

    @property
    def kind(self) -> Kind:
        """Of the jobs' records."""
        return self._kind.kind

    def rows(self) -> tuple[tuple[str, Call, Resource], ...]:
        """The kind's rows in the table of operations."""
        noun, resource = self._kind.kind.noun, named(self._kind.kind)
        rows = (
            (f"Create{noun}", self.create, resource),
            (f"Describe{noun}", self.describe, resource),
            (f"List{noun}s", self.list, every),
            (f"Stop{noun}", self.stop, resource),
            (f"Delete{noun}", self.delete, resource),
        )
        return rows if self._kind.can_be_deleted else rows[:-1]

    def create(self, scope: Scope, request: Mapping[str, Any]) -> Response:
        """Check all that can be checked before, start the job, and answer its ARN."""
        return {self._kind.kind.arn_member: self.submit(scope, request).ref.arn}

    def describe(self, scope: Scope, request: Mapping[str, Any]) -> Response:
        """Everything about the job as it is now."""
        return described(self._get(self._ref(scope, request)), self._kind.undescribed)

    def list(self, scope: Scope, request: Mapping[str, Any]) -> Response:
        """Summaries, one page of them."""
        table = self._kind.statuses
        records = [r for r in self._store.all(scope, self._kind.kind) if self._kind.is_listed(r, request)]
        return listing(
            records,
            request,
            self._kind.kind,
            items=f"{self._kind.kind.noun}Summaries",
            members=("LastModifiedTime", table.status_member, table.end_member, *self._kind.summary_members),
            status=table.status_member,
            status_last=self._kind.filters_status_last,
            order=self._kind.list_order,
        )

    def stop(self, scope: Scope, request: Mapping[str, Any]) -> Response:
        """Ask the job to end; a job that is stopping already is left to it. ValidationException when it has ended."""
        ref = self._ref(scope, request)
        with self._store.lock:
            record = self._get(ref, self._kind.missing_to_stop)
            if self._kind.statuses.has_ended(record):
                status = record[self._kind.statuses.status_member]
                sentence = f"The request was rejected because the {ref.kind.words} is in status {status}."
                raise validation_error(sentence)
            self._stop(ref)
        return {}

    def delete(self, scope: Scope, request: Mapping[str, Any]) -> Response:
        """Forget an ended job; what it put in S3 stays. ResourceInUse while it goes on."""
        ref = self._ref(scope, request)
        with self._store.lock:
            record = self._get(ref)
            if not self._kind.statuses.has_ended(record):
                status = record[self._kind.statuses.status_member]
                raise in_use(
                    f"The {ref.kind.words} {ref.name} is in status {status}: stop it first, or wait for its end."
                )
            self._store.delete(ref)
        return {}

    def submit(self, scope: Scope, request: Mapping[str, Any]) -> Handle:
        """As `create`, for callers in the stage itself, such as a job that runs others."""
        ref, context = self._ref(scope, request), self._context
        plan, tags = self._kind.plan(ref, request), tag_list(request)
        self._refuse_taken(ref)
        checks = Checks(ref, context.runtime, context.account, self._store)
        self._kind.check(plan, checks)
        folder = self._folder / f"{ref.name}-{uuid.uuid4().hex[:8]}"
        job = Job(ref, plan, self._kind, context, folder, checks)
        record = {
            **request,
            **self._kind.record(plan, request),
            ref.kind.arn_member: ref.arn,
            "Tags": tags,
            **self._kind.statuses.begin(context.clock()),
        }
        with self._store.lock:
            self._refuse_taken(ref)
            self._store.put(ref, record)
            try:
                context.supervisor.start(
                    f"{ref.kind.words} {ref.name}", partial(self._run, job), cancel=job.signals.abort
                )
            except BaseException:
                self._store.delete(ref)
                raise
            self._running[ref] = job
        return Handle(job, context, partial(self._stop, ref))

    def interrupt(self, ref: Ref) -> bool:
        """End the attempt of the job that runs, if there is one; whether there was one."""
        job = self._running.get(ref)
        return job is not None and job.interrupt()

    def _run(self, job: Job[Plan]) -> None:
        """The life of a job, in its own thread."""
        outcome = self._outcome(job)
        shutil.rmtree(job.folder, ignore_errors=True)
        self._context.logs.flush()  # whoever sees the end finds all of the logs, and nothing left behind
        with self._store.lock:
            job.end(outcome)
            del self._running[job.ref]
        job.ended.set()

    def _outcome(self, job: Job[Plan]) -> Outcome:
        try:
            outcome = self._kind.work(job)
        except JobFailed as failure:
            outcome = _failed(str(failure))
        except ApiError as error:
            side = "ClientError" if error.status < 500 else "InternalServerError"
            outcome = _failed(f"{side}: {error.message}")
        except Exception as error:
            LOG.exception("%s %s", job.ref.kind.words, job.ref.name)
            outcome = _failed(f"InternalServerError: {explain(error)}")
        return _failed(SHUT_DOWN) if job.signals.aborted else outcome

    def _stop(self, ref: Ref) -> None:
        with self._store.lock:
            job = self._running.get(ref)
            if job is not None and not job.signals.stopped:
                job.enter(STOPPING)
                job.signals.stop()

    def _ref(self, scope: Scope, request: Mapping[str, Any]) -> Ref:
        return Ref(scope, self._kind.kind, request[self._kind.kind.name_member])

    def _get(self, ref: Ref, missing: str = "") -> Record:
        """The record; ValidationException, with the sentence `missing` or the kind's, when there is none."""
        record = self._store.get(ref)
        if record is None:
            raise validation_error((missing or self._kind.missing).format(name=ref.name))
        return record

    def _refuse_taken(self, ref: Ref) -> None:
        if self._store.find(ref.arn) is not None:
            raise in_use(self._kind.taken.format(name=ref.name, arn=ref.arn))


def _failed(reason: str) -> Outcome:
    return Outcome(FAILED, {"FailureReason": reason[:FAILURE_CHARS]})

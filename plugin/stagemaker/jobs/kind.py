"""What a kind of job has to say of itself; everything else about the life of a job is in `jobs.py`, written once."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

from stagemaker.core.refs import Kind, Ref
from stagemaker.core.store import Record
from stagemaker.jobs.checks import Checks
from stagemaker.jobs.statuses import StatusTable

if TYPE_CHECKING:
    from stagemaker.jobs.job import Job

FAILURE_CHARS = 1024  # AWS's limit of a FailureReason


class JobFailed(Exception):
    """Ends a job as Failed; the message is its FailureReason."""


@dataclass(frozen=True)
class Outcome:
    """The last step of a job that its work led to, and what the record gains by it."""

    step: str
    changes: Mapping[str, Any] = field(default_factory=dict)


class JobKind[Plan](Protocol):
    """A kind of job: a module and a row of the table in `app.py`. Its methods hold no state of a job."""

    @property
    def kind(self) -> Kind:
        """Of its records; its noun and words name operations, members and messages."""

    @property
    def statuses(self) -> StatusTable:
        """Which steps there are, and which follow which."""

    @property
    def log_group(self) -> str:
        """Of CloudWatch Logs; also the namespace of its metrics."""

    @property
    def list_order(self) -> str:
        """The default SortOrder of its List operation, as AWS documents it."""

    @property
    def missing(self) -> str:
        """AWS's sentence about a job that is not there; `{name}` stands for its name."""

    @property
    def missing_to_stop(self) -> str:
        """The same of its Stop operation."""

    @property
    def taken(self) -> str:
        """AWS's sentence about a name that another job has; `{name}` and `{arn}` stand for that job's."""

    @property
    def summary_members(self) -> tuple[str, ...]:
        """What of a record its List operation shows besides name, ARN, times and status, where the record has it."""

    @property
    def undescribed(self) -> tuple[str, ...]:
        """What of a record its Describe operation does not show, though other kinds' do."""

    @property
    def can_be_deleted(self) -> bool:
        """Whether there is a Delete operation."""

    @property
    def filters_status_last(self) -> bool:
        """Whether its List operation makes pages before it looks at StatusEquals, as AWS documents of training jobs."""

    def plan(self, ref: Ref, request: Mapping[str, Any]) -> Plan:
        """Pure: the request as a frozen value. Raises ApiError for what AWS would not take, and 501 for what is not
        implemented."""

    def check(self, plan: Plan, checks: Checks) -> None:
        """What AWS looks up before it takes the job: image, hardware, role, S3. Raises ApiError."""

    def record(self, plan: Plan, request: Mapping[str, Any]) -> dict[str, Any]:
        """What Describe answers of a new job besides its ARN, tags and progress."""

    def is_listed(self, record: Record, request: Mapping[str, Any]) -> bool:
        """Whether a filter that only this kind's List operation has lets the record through."""

    def work(self, job: "Job[Plan]") -> Outcome:
        """Do it all, in the job's own thread, and return when nothing of it runs. Raises JobFailed, or ApiError or
        OSError, which become the reason of the failure. When the job is aborted, return or raise soon."""

    def ending(self, record: Record) -> dict[str, Any]:
        """Pure: what the record gains when the job has ended, such as the seconds that it is billed for."""

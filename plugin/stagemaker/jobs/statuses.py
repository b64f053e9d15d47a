"""How the record of a job moves from its first status to its last. Pure: one table for each kind of job says it all."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from stagemaker.core.store import Record

COMPLETED, FAILED, STOPPED = "Completed", "Failed", "Stopped"
IN_PROGRESS, STOPPING = "InProgress", "Stopping"
ENDED = (COMPLETED, FAILED, STOPPED)  # of every kind


@dataclass(frozen=True)
class Step:
    """One row: a step of a job's life, the status that the job has meanwhile, AWS's message, and the steps that may
    follow. A kind without secondary statuses has steps of the same names as its statuses."""

    status: str
    message: str = ""
    then: tuple[str, ...] = ()


@dataclass(frozen=True)
class StatusTable:
    """Of one kind. `noun` begins its members, as in `TrainingJobStatus` and `TrainingStartTime`.

    `has_secondary`: the record has SecondaryStatus and SecondaryStatusTransitions. Entering `started` sets the start
    time, entering a step of an ENDED status the end time."""

    noun: str
    first: str
    started: str
    steps: Mapping[str, Step]
    has_secondary: bool = False

    @property
    def status_member(self) -> str:
        """Of a record, an answer and a summary."""
        return f"{self.noun}Status"

    @property
    def start_member(self) -> str:
        """When the job's work began."""
        return f"{self.noun.removesuffix('Job')}StartTime"

    @property
    def end_member(self) -> str:
        """When the job had ended."""
        return f"{self.noun.removesuffix('Job')}EndTime"

    def begin(self, now_s: float) -> dict[str, Any]:
        """What a new job's record holds of its progress. `now_s` is in epoch seconds, as all times of a record."""
        begun: dict[str, Any] = {
            "CreationTime": now_s,
            "LastModifiedTime": now_s,
            self.status_member: self.steps[self.first].status,
        }
        if self.has_secondary:
            begun |= {
                "SecondaryStatus": self.first,
                "SecondaryStatusTransitions": [self._transition(self.first, now_s)],
            }
        return begun

    def step_of(self, record: Record) -> str:
        """The step that the record is in."""
        return str(record["SecondaryStatus"] if self.has_secondary else record[self.status_member])

    def has_ended(self, record: Record) -> bool:
        """Whether the record is in its last step."""
        return record[self.status_member] in ENDED

    def move(self, record: Record, step: str, now_s: float, note: str = "") -> dict[str, Any] | None:
        """What changes in the record when the job enters `step`; `note` follows AWS's message of it.

        A job that is Stopping stays so until its end: None, no change, for a step that it would have entered had nobody
        stopped it a moment before. ValueError for a step that the table does not allow."""
        current, target = self.step_of(record), self.steps[step]
        if step not in self.steps[current].then:
            if record[self.status_member] == STOPPING and target.status not in ENDED:
                return None
            raise ValueError(f"A {self.noun} cannot go from {current} to {step}.")
        stopping = record[self.status_member] == STOPPING and target.status not in ENDED
        changes: dict[str, Any] = {
            self.status_member: STOPPING if stopping else target.status,
            "LastModifiedTime": now_s,
        }
        if self.has_secondary:
            changes |= {"SecondaryStatus": step, "SecondaryStatusTransitions": self._moved(record, step, now_s, note)}
        if step == self.started:
            changes |= {self.start_member: record.get(self.start_member, now_s)}
        if target.status in ENDED:
            changes |= {self.end_member: now_s}
        return changes

    def _moved(self, record: Record, step: str, now_s: float, note: str) -> list[dict[str, Any]]:
        *past, last = record["SecondaryStatusTransitions"]
        entered = self._transition(step, now_s, note)
        if self.steps[step].status in ENDED:
            entered |= {"EndTime": now_s}
        return [*past, {**last, "EndTime": now_s}, entered]

    def _transition(self, step: str, now_s: float, note: str = "") -> dict[str, Any]:
        return {"Status": step, "StartTime": now_s, "StatusMessage": f"{self.steps[step].message} {note}".rstrip()}


def without_steps(noun: str) -> StatusTable:
    """Of a kind whose steps are its statuses. The start of its work is no step: its kind notes the time."""
    return StatusTable(
        noun=noun,
        first=IN_PROGRESS,
        started="",
        steps={
            IN_PROGRESS: Step(IN_PROGRESS, then=(STOPPING, *ENDED)),
            STOPPING: Step(STOPPING, then=ENDED),
            **{end: Step(end) for end in ENDED},
        },
    )

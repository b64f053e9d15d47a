"""Pure: what a run of the suite has found, as values that can be written to JSON and shown on a page."""

from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Any

from tests.chaos.calls import Summary


class Verdict(StrEnum):
    """What a trial has shown."""

    HELD = "held"
    BROKEN = "did not hold"
    LEFT_OUT = "left out"


@dataclass(frozen=True)
class Step:
    """Something that was done, or noticed, `at_s` seconds after the begin of the run."""

    at_s: float
    text: str


@dataclass(frozen=True)
class Check:
    """A sentence that must be true, and what was seen."""

    claim: str
    holds: bool
    seen: str


@dataclass(frozen=True)
class TrialReport:
    """One run of one experiment. `reason` says why it was left out; a trial that was left out has nothing else."""

    name: str
    promise: str
    began_s: float
    ended_s: float
    steps: tuple[Step, ...] = ()
    checks: tuple[Check, ...] = ()
    allowed: tuple[str, ...] = ()
    streams: tuple[tuple[str, Summary], ...] = ()
    outage_s: float = 0.0
    reason: str = ""

    @property
    def verdict(self) -> Verdict:
        """HELD when every check holds."""
        if self.reason:
            return Verdict.LEFT_OUT
        return Verdict.HELD if all(check.holds for check in self.checks) else Verdict.BROKEN


@dataclass(frozen=True)
class Second:
    """The calls that were due in one second of the run, `at_s` after its begin."""

    at_s: int
    answered: int
    failed: int
    p50_ms: float | None
    max_ms: float | None


@dataclass(frozen=True)
class RunReport:
    """A whole run. `seconds` are those of the load on the stack in containers."""

    seed: int
    command: str
    when: str
    revision: str
    machine: str
    rate_per_s: float
    trials: tuple[TrialReport, ...]
    seconds: tuple[Second, ...]
    checks: tuple[Check, ...] = ()

    @property
    def held(self) -> bool:
        """Whether nothing was broken; what was left out is not."""
        return all(trial.verdict is not Verdict.BROKEN for trial in self.trials) and all(c.holds for c in self.checks)

    def document(self) -> dict[str, Any]:
        """For a JSON file, with the verdicts."""
        found = asdict(self)
        for trial, written in zip(self.trials, found["trials"], strict=True):
            written["verdict"] = str(trial.verdict)
            written["streams"] = {name: asdict(summary) for name, summary in trial.streams}
        return {**found, "held": self.held}

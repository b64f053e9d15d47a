"""What each principal was seen to ask, so that a run can say which policy it needs."""

import threading
from dataclasses import dataclass, field

from stagemaker.access.denial import sentence
from stagemaker.access.enforce import Mode, Seen
from stagemaker.access.evaluate import Outcome
from stagemaker.access.least_policy import Asked, Use, kind_of

MAX_KINDS = 2000  # (ours) of calls of a principal: then the one that was seen least often is forgotten
MAX_CHARACTERS = 2048  # (ours) of the texts of a kind: one that is longer is forgotten at once
MAX_PRINCIPALS = 500  # (ours) then the one that has asked for nothing for the longest time is forgotten


@dataclass(frozen=True)
class Recording:
    """Of one principal: the kinds of calls that were done; those that its policies do not allow, which were done too in
    the modes off and soft; and how many kinds were forgotten because there were too many."""

    principal: str
    done: tuple[Use, ...]
    refused: tuple[Use, ...]
    forgotten: int


class _Counts:
    """How often each kind of call was seen, for MAX_KINDS of them. `forgotten` counts those that were not
    kept."""

    def __init__(self) -> None:
        self.uses: dict[Asked, Use] = {}
        self.forgotten = 0

    def add(self, asked: Asked, because: str, time_s: float, refusal: str = "") -> None:
        known = self.uses.get(asked)
        if known is not None:
            self.uses[asked] = Use(asked, known.because, known.count + 1, time_s, refusal)
            return
        if len(asked.resource) + sum(len(value) for _, value in asked.conditions) > MAX_CHARACTERS:
            self.forgotten += 1
            return
        if len(self.uses) >= MAX_KINDS:
            del self.uses[min(self.uses.values(), key=lambda use: (use.count, use.last_s)).asked]
            self.forgotten += 1
        self.uses[asked] = Use(asked, because, 1, time_s, refusal)


@dataclass
class _Principal:
    last_s: float
    done: _Counts = field(default_factory=_Counts)
    refused: _Counts = field(default_factory=_Counts)


class Recorder:
    """Thread-safe. The mode says whether what the policies do not allow was done all the same."""

    def __init__(self, mode: Mode) -> None:
        self._refuses = mode is Mode.STRICT
        self._lock = threading.Lock()
        self._principals: dict[str, _Principal] = {}

    def saw(self, seen: Seen) -> None:
        """Count a question of a user, a role or an account's root. The stage's own and a service's are left out."""
        principal, question = seen.caller.principal, seen.question
        if seen.caller.is_stage or principal.is_service:
            return
        asked = kind_of(question.action, question.resource_arn, question.context)
        is_allowed = seen.decision.outcome is Outcome.ALLOWED
        refusal = "" if is_allowed else sentence(principal, question, seen.decision)
        with self._lock:
            counted = self._counted(principal.role_arn or principal.arn, seen.time_s)
            if is_allowed or not self._refuses:
                counted.done.add(asked, question.because, seen.time_s)
            if not is_allowed:
                counted.refused.add(asked, question.because, seen.time_s, refusal)

    def recording(self, principal: str) -> Recording | None:
        """Of the ARN of a user, a role or an account's root; None where nothing was seen."""
        with self._lock:
            found = self._principals.get(principal)
            if found is None:
                return None
            done, refused = found.done, found.refused
            return Recording(
                principal,
                tuple(done.uses.values()),
                tuple(refused.uses.values()),
                done.forgotten + refused.forgotten,
            )

    def principals(self) -> list[str]:
        """The ARNs of all that were seen."""
        with self._lock:
            return sorted(self._principals)

    def _counted(self, arn: str, time_s: float) -> _Principal:
        found = self._principals.get(arn)
        if found is None:
            if len(self._principals) >= MAX_PRINCIPALS:
                del self._principals[min(self._principals, key=lambda one: self._principals[one].last_s)]
            found = self._principals[arn] = _Principal(time_s)
        found.last_s = time_s
        return found

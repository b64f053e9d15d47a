"""Asks about every question of a request whether it is allowed, tells the observer, and refuses in the mode strict."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Protocol

from stagemaker.access.callers import Caller
from stagemaker.access.denial import access_denied
from stagemaker.access.evaluate import Decision, Outcome, Policies, decide
from stagemaker.access.questions import Question
from stagemaker.access.request import AccessRequest
from stagemaker.core.errors import ApiError


class Mode(Enum):
    """What STAGEMAKER_IAM says."""

    OFF = "off"  # nothing is refused
    SOFT = "soft"  # nothing is refused; the observer sees what AWS would refuse
    STRICT = "strict"


class PolicySource(Protocol):
    """The policies as they are now. Thread-safe."""

    def policies(self, caller: Caller, question: Question) -> Policies:
        """Those that decide on the question."""
        ...


@dataclass(frozen=True)
class Seen:
    """What the observer gets. `time_s` is in epoch seconds."""

    caller: Caller
    question: Question
    decision: Decision
    time_s: float


class RefusedQuestion(ApiError):
    """The refusal of one question."""

    def __init__(self, caller: Caller, question: Question, decision: Decision) -> None:
        error = access_denied(caller.principal, question, decision)
        super().__init__(error.code, error.message, error.status)
        self.question = question


class Enforcer:
    """Thread-safe. `observer` is called for every question, in the thread of the request; it must not raise."""

    def __init__(
        self,
        mode: Mode,
        policies: PolicySource,
        observer: Callable[[Seen], None],
        clock: Callable[[], float],
    ) -> None:
        self.mode = mode
        self._policies, self._observer, self._clock = policies, observer, clock

    def authorize(self, caller: Caller, questions: Sequence[Question]) -> None:
        """Raise RefusedQuestion, with AWS's code and sentence, for the first one that is refused, in the mode strict.

        The stage's own calls are never refused and never seen."""
        if caller.is_stage:
            return
        for question in questions:
            decision = self.decide(caller, question)
            self._observer(Seen(caller, question, decision, self._clock()))
            if self.mode is Mode.STRICT and decision.outcome is not Outcome.ALLOWED:
                raise RefusedQuestion(caller, question, decision)

    def now_s(self) -> float:
        """The moment of a request, in epoch seconds."""
        return self._clock()

    def decide(self, caller: Caller, question: Question) -> Decision:
        """Whether IAM allows it, whatever the mode is."""
        request = AccessRequest(
            caller.principal, question.action, question.resource_arn, question.resource_account, question.context
        )
        return decide(request, self._policies.policies(caller, question))

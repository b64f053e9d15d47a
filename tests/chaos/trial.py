"""What an experiment is given: the stack that it breaks, and a trial that writes down what it does and finds."""

import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, field

from infra.clients import Clients
from tests.chaos.calls import Allowed
from tests.chaos.engine import Engine
from tests.chaos.load import Load
from tests.chaos.report import Check, Step
from tests.chaos.workload import Workload


@dataclass(kw_only=True)
class Environment:
    """A stack under load. `network` is the one of its containers, and the label of all that it starts. The calls that
    were due before `accounted_s`, by time.monotonic, are in the account of some trial."""

    url: str
    engine: Engine
    network: str
    clients: Clients
    load: Load
    workload: Workload
    accounted_s: float = field(default=0.0, init=False)

    def instances(self) -> list[str]:
        """The ids of the endpoint's containers that run, paused ones too."""
        return self.engine.containers(self.network, "stagemaker-chaos-i-")

    def hosts(self, job: str) -> list[str]:
        """The ids of a job's containers that run, paused ones too."""
        return self.engine.containers(self.network, f"stagemaker-{job}-")


class Trial:
    """One run of an experiment. What is put on `undo` is undone at its end, whatever happens."""

    def __init__(self, say: Callable[[str], None], run_began_s: float) -> None:
        self._say, self.run_began_s = say, run_began_s
        self.undo = ExitStack()
        self.steps: list[Step] = []
        self.checks: list[Check] = []
        self.allowed: list[Allowed] = []

    @property
    def now_s(self) -> float:
        """Seconds since the begin of the run."""
        return time.monotonic() - self.run_began_s

    def did(self, text: str) -> float:
        """Write down what was done just now, or noticed; the moment by time.monotonic."""
        self.steps.append(Step(self.now_s, text))
        self._say(text)
        return time.monotonic()

    def check(self, claim: str, holds: bool, seen: object = "") -> None:
        """Write down whether what must be true is."""
        self.checks.append(Check(claim, holds, str(seen)))
        if not holds:
            self._say(f"DOES NOT HOLD: {claim} ({seen})")

    def allow(
        self, why: str, failures: set[str] | frozenset[str], since_s: float, until_s: float, *streams: str
    ) -> None:
        """These failures of calls that were under way between the two moments are what is promised to be possible; of
        the endpoint's calls, unless streams are named."""
        self.allowed.append(Allowed(why, frozenset(failures), since_s, until_s, frozenset(streams or ("endpoint",))))

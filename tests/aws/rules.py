"""Which calls of AWS go wrong in a test, and how."""

import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

from tests.aws.wire import Asked, AwsError

Cut = Literal["before", "after"]


@dataclass(frozen=True)
class Fault:
    """What becomes of the calls of an operation, counted from 1 while the fault is injected.

    `service` is boto3's name and `operation` the model's; empty ones mean any. It concerns the calls `first` to `last`
    (None: for ever), every `every`-th of them, for `seconds` from the first (None: for ever), and only those that
    `matches` says yes to. Such a call is answered with `error`, or what that says of it; or its connection is cut,
    `before` or `after` it has been done; or it is done after `delay_s`. `meanwhile` is called before it is done, and
    `afterwards` once it is done and not yet answered, each with the call."""

    service: str = ""
    operation: str = ""
    error: AwsError | Callable[[Asked], AwsError] | None = None
    cut: Cut | None = None
    delay_s: float = 0.0
    first: int = 1
    last: int | None = None
    every: int = 1
    seconds: float | None = None
    meanwhile: Callable[[Asked], object] = lambda _: None
    afterwards: Callable[[Asked], object] = lambda _: None
    matches: Callable[[Asked], bool] = lambda _: True


class Rules:
    """The faults that are injected now. Thread-safe."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock, self._lock = clock, threading.Lock()
        self._counted = list[_Counted]()

    def add(self, faults: Sequence[Fault]) -> None:
        """Inject them, each with a count of its own."""
        with self._lock:
            self._counted += [_Counted(fault) for fault in faults]

    def remove(self, faults: Sequence[Fault]) -> None:
        """Inject them no longer."""
        with self._lock:
            self._counted = [one for one in self._counted if one.fault not in faults]

    def of(self, asked: Asked) -> Fault | None:
        """What becomes of this call: the first fault that concerns it, or None."""
        with self._lock:
            found = [one.fault for one in self._counted if one.concerns(asked, self._clock())]
        return found[0] if found else None


class _Counted:
    """A fault, and how many calls of its operation there were."""

    def __init__(self, fault: Fault) -> None:
        self.fault = fault
        self._count = 0
        self._began: float | None = None

    def concerns(self, asked: Asked, now: float) -> bool:
        fault = self.fault
        if fault.service not in ("", asked.service) or fault.operation not in ("", asked.operation):
            return False
        if not fault.matches(asked):
            return False
        self._count += 1
        number = self._count - fault.first
        if number < 0 or number % fault.every or (fault.last is not None and self._count > fault.last):
            return False
        self._began = now if self._began is None else self._began
        return fault.seconds is None or now < self._began + fault.seconds

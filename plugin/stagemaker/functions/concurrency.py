"""How many invocations of functions run at once, and which may begin.

In place of LocalStack's count, which calls every throttle one of reserved concurrency, and counts provisioned
environments that are not there yet. Source: https://docs.aws.amazon.com/lambda/latest/dg/lambda-concurrency.html
"""

import threading
from collections import Counter
from collections.abc import Collection
from dataclasses import dataclass

RETRY_AFTER_S = 1  # (ours) AWS documents the header of a throttled call, and no value
FUNCTION_LIMIT = "ReservedFunctionConcurrentInvocationLimitExceeded"
ACCOUNT_LIMIT = "ConcurrentInvocationLimitExceeded"


class Throttled(Exception):
    """The invocation may not begin. `reason` is a ThrottleReason of Lambda's model."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


@dataclass(frozen=True)
class Limits:
    """What limits one invocation. `reserved` is the function's, None without; `provisioned` is asked for by all
    versions of the function, of which `ready` environments of the version wait or work. Functions without reserved
    concurrency, `sharing`, have `unreserved` invocations on demand together."""

    reserved: int | None
    provisioned: int
    ready: int
    unreserved: int
    sharing: Collection[str]


@dataclass(frozen=True)
class Admission:
    """The right of one invocation to run. `running` is how many of the function run now, this one included, and
    `running_provisioned` how many of them on provisioned environments of its version."""

    function: str
    version: str
    is_provisioned: bool
    running: int
    running_provisioned: int


class Concurrency:
    """Counts what runs, by the ARNs of functions and versions. Thread-safe."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._on_demand: Counter[str] = Counter()  # of functions
        self._provisioned: Counter[str] = Counter()  # of versions
        self._all: Counter[str] = Counter()  # of functions

    def begin(self, function: str, version: str, limits: Limits) -> Admission:
        """Count one invocation more. Throttled when it may not begin. A provisioned environment is preferred; when all
        are at work, the invocation runs on demand."""
        with self._lock:
            is_provisioned = self._provisioned[version] < limits.ready
            if is_provisioned:
                self._provisioned[version] += 1
            else:
                self._check(function, limits)
                self._on_demand[function] += 1
            self._all[function] += 1
            return Admission(function, version, is_provisioned, self._all[function], self._provisioned[version])

    def end(self, admission: Admission) -> None:
        """Count one less."""
        with self._lock:
            if admission.is_provisioned:
                _take_one(self._provisioned, admission.version)
            else:
                _take_one(self._on_demand, admission.function)
            _take_one(self._all, admission.function)

    def _check(self, function: str, limits: Limits) -> None:
        if limits.reserved is not None:
            if self._on_demand[function] >= limits.reserved - limits.provisioned:
                raise Throttled(FUNCTION_LIMIT)
        elif sum(self._on_demand[each] for each in limits.sharing) >= limits.unreserved:
            raise Throttled(ACCOUNT_LIMIT)


def _take_one(counts: Counter[str], key: str) -> None:
    counts[key] -= 1
    if not counts[key]:
        del counts[key]

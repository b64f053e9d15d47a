"""Pure: what becomes of an instance, from what is known of it."""

from dataclasses import dataclass
from enum import Enum, auto


@dataclass(frozen=True)
class HealthTimes:
    """How an instance that has come into service is watched."""

    ping_every_s: float = 5.0  # (ours)
    answer_s: float = 2.0  # AWS's: /ping must answer within it
    late_answers: int = 3  # (ours) in a row, before the instance gets no new requests
    request_s: float = 60.0  # AWS's: no InvokeEndpoint takes longer


class Ping(Enum):
    """What GET /ping came to."""

    ANSWERED = auto()  # 200 in time
    LATE = auto()  # no answer in time, another status, or no way to the instance
    REFUSED = auto()  # nobody listens


class Verdict(Enum):
    """What becomes of an instance."""

    SERVE = auto()
    REST = auto()  # it gets no new requests until it answers again
    REPLACE = auto()


@dataclass(frozen=True)
class Observed:
    """What is known of an instance whose container runs. `late_answers` counts those since the last answer in time;
    `busy_s` is how much longer a request that it has may take, of those that may take longest; 0 or less: it has none
    that anybody still waits for."""

    last_ping: Ping
    late_answers: int
    busy_s: float


def judge(observed: Observed, times: HealthTimes) -> Verdict:
    """An image that works on one request at a time answers no ping meanwhile: it is late, but not replaced as long as
    it has a request that may still be answered."""
    if observed.last_ping is Ping.REFUSED:
        return Verdict.REPLACE
    if observed.late_answers < times.late_answers:
        return Verdict.SERVE
    return Verdict.REST if observed.busy_s > 0 else Verdict.REPLACE

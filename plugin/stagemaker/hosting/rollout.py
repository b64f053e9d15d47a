"""Pure: how the requests of an endpoint move from the fleet that serves to a new one."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Step:
    """The new fleet gets `share` of the requests, for at least `wait_s` seconds before the next step."""

    share: float
    wait_s: float = 0.0


Schedule = tuple[Step, ...]  # the last step's share is 1
ALL_AT_ONCE: Schedule = (Step(1.0),)


def shares[F](old: F | None, new: F, step: Step) -> dict[F, float]:
    """The share of each fleet in a step. Without an old fleet the new one gets all."""
    return {new: 1.0} if old is None else {old: 1.0 - step.share, new: step.share}

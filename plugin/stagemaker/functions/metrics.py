"""What CloudWatch is told of an invocation. Pure.

Source: https://docs.aws.amazon.com/lambda/latest/dg/monitoring-metrics-types.html. Data points have the dimension
FunctionName, and those of a version or an alias also Resource, `<function>:<qualifier>`.
"""

from collections.abc import Iterator
from dataclasses import dataclass

NAMESPACE = "AWS/Lambda"
_COUNT = "Count"


@dataclass(frozen=True)
class Datum:
    """One data point. `unit` is CloudWatch's word."""

    name: str
    value: float
    unit: str
    dimensions: tuple[tuple[str, str], ...]


def of_throttle(function: str, qualifier: str) -> list[Datum]:
    """An invocation that was refused counts as no invocation. `qualifier` is empty for a call without one."""
    return [Datum("Throttles", 1, _COUNT, each) for each in _dimensions(function, qualifier)]


def of_invocation(function: str, qualifier: str, *, is_error: bool, duration_s: float) -> list[Datum]:
    """An invocation that ran to its end."""
    return [
        datum
        for each in _dimensions(function, qualifier)
        for datum in (
            Datum("Invocations", 1, _COUNT, each),
            Datum("Errors", int(is_error), _COUNT, each),
            Datum("Throttles", 0, _COUNT, each),
            Datum("Duration", duration_s * 1000, "Milliseconds", each),
        )
    ]


def of_concurrency(function: str, running: int) -> list[Datum]:
    """How many run when one more begins."""
    return [Datum("ConcurrentExecutions", running, _COUNT, each) for each in _dimensions(function, "")]


def of_provisioned(function: str, qualifier: str, *, running: int, allocated: int, is_provisioned: bool) -> list[Datum]:
    """An invocation of a version or an alias with provisioned concurrency begins: on one of its `allocated`
    environments, of which `running` are at work then, or on demand when it `is_provisioned` not."""
    name = "ProvisionedConcurrencyInvocations" if is_provisioned else "ProvisionedConcurrencySpilloverInvocations"
    return [
        datum
        for each in _dimensions(function, qualifier)
        for datum in (
            Datum(name, 1, _COUNT, each),
            Datum("ProvisionedConcurrentExecutions", running, _COUNT, each),
            Datum("ProvisionedConcurrencyUtilization", running / allocated if allocated else 1.0, "None", each),
        )
    ]


def _dimensions(function: str, qualifier: str) -> Iterator[tuple[tuple[str, str], ...]]:
    """Of the function's own data points, and of those of its version or alias."""
    name = ("FunctionName", function)
    yield (name,)
    if qualifier:
        yield (name, ("Resource", f"{function}:{qualifier}"))

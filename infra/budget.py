"""Whether a plan stays within the budget of its settings. Pure."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from infra.cost import Cost, CostLine
from infra.errors import StepFailed
from infra.settings import BudgetSettings

_COLUMNS: Mapping[str, str] = {"hour": "an hour", "month": "a month", "at_worst": "at worst"}  # of a Cost
_MOST_NAMED = 3


@dataclass(frozen=True)
class Exceeded:
    """A limit of the budget that the plan does not keep, in US dollars; `largest` are the lines that cost most there.
    `cost` is None where a price is missing, so that nobody can say what the plan costs."""

    column: str
    limit: float
    cost: float | None
    largest: tuple[CostLine, ...] = ()

    def __str__(self) -> str:
        title = _COLUMNS[self.column]
        if self.cost is None:
            return f"The budget of ${self.limit:,.2f} {title} cannot be checked, since prices are missing."
        named = ", ".join(f"${getattr(line, self.column):,.2f} {line.what}" for line in self.largest)
        return f"It would cost ${self.cost:,.2f} {title}, and the budget is ${self.limit:,.2f}. Most of it: {named}."


def exceeded(budget: BudgetSettings, cost: Cost) -> tuple[Exceeded, ...]:
    """The limits that the plan does not keep, none where it stays within all."""
    limits = ((column, getattr(budget, f"{column}_usd")) for column in _COLUMNS)
    found = (_exceeded(column, limit, cost) for column, limit in limits if limit is not None)
    return tuple(one for one in found if one)


def _exceeded(column: str, limit: float, cost: Cost) -> Exceeded | None:
    total = cost.total(column) or 0.0
    if total > limit:
        with_amount = (line for line in cost.lines if getattr(line, column))
        largest = sorted(with_amount, key=lambda line: getattr(line, column), reverse=True)
        return Exceeded(column, limit, total, tuple(largest[:_MOST_NAMED]))
    return Exceeded(column, limit, None) if cost.unknown else None


def require(found: tuple[Exceeded, ...]) -> None:
    """Raises StepFailed where a limit is not kept."""
    if found:
        raise StepFailed(
            " ".join(str(one) for one in found),
            "Make it smaller, raise [budget] in the preset, or say --over-budget (OVER_BUDGET=1).",
        )


def document(budget: BudgetSettings, found: tuple[Exceeded, ...]) -> dict[str, Any]:
    """The budget as JSON, and what the plan does not keep of it."""
    return {
        "limits": asdict(budget),
        "exceeded": [
            {"column": one.column, "limit": one.limit, "cost": one.cost, "largest": [line.what for line in one.largest]}
            for one in found
        ],
    }

"""Whether a plan keeps its budget, and what is said when it does not."""

import json
from pathlib import Path

import pytest

from infra import budget, cost, presets
from infra.cost import Cost, CostLine
from infra.errors import StepFailed
from infra.prices import prices
from infra.settings import BudgetSettings


def line(what: str, hour: float | None, at_worst: float) -> CostLine:
    return CostLine("endpoint", what, None, hour, None if hour is None else hour * 730, None, at_worst)


COST = Cost("us-east-1", (line("small", 0.1, 10.0), line("large", 0.4, 500.0), line("job", None, 40.0)), (), ())


def test_without_a_budget_nothing_is_exceeded() -> None:
    assert budget.exceeded(BudgetSettings(), COST) == ()
    budget.require(())


def test_a_budget_of_just_so_much_is_kept() -> None:
    assert budget.exceeded(BudgetSettings(hour_usd=0.5, month_usd=365.0, at_worst_usd=550.0), COST) == ()


def test_what_is_too_much_is_said_with_the_largest_items() -> None:
    (found,) = budget.exceeded(BudgetSettings(at_worst_usd=549.0), COST)
    assert str(found) == (
        "It would cost $550.00 at worst, and the budget is $549.00. "
        "Most of it: $500.00 large, $40.00 job, $10.00 small."
    )
    with pytest.raises(StepFailed, match="It would cost") as refused:
        budget.require((found,))
    assert "--over-budget" in refused.value.next_step


def test_what_ends_costs_nothing_by_the_hour() -> None:
    (found,) = budget.exceeded(BudgetSettings(hour_usd=0.3), COST)
    assert [one.what for one in found.largest] == ["large", "small"]


def test_with_a_missing_price_nobody_can_say_that_it_is_kept() -> None:
    unknown = Cost("us-east-1", COST.lines, (), ("no price is known for training on ml.x9.large in us-east-1",))
    (found,) = budget.exceeded(BudgetSettings(month_usd=1e6), unknown)
    assert str(found) == "The budget of $1,000,000.00 a month cannot be checked, since prices are missing."


def test_the_document_has_the_limits_and_what_is_not_kept() -> None:
    limits = BudgetSettings(hour_usd=0.3, at_worst_usd=1e6)
    found = json.loads(json.dumps(budget.document(limits, budget.exceeded(limits, COST))))
    assert found["limits"] == {"hour_usd": 0.3, "month_usd": None, "at_worst_usd": 1e6}
    assert found["exceeded"] == [{"column": "hour", "limit": 0.3, "cost": 0.5, "largest": ["large", "small"]}]


@pytest.mark.parametrize("amount", [0.0, -1.0, float("inf"), float("nan")])
def test_what_is_no_amount_is_refused(amount: float) -> None:
    with pytest.raises(ValueError, match="must be above 0"):
        BudgetSettings(month_usd=amount)


@pytest.mark.parametrize("path", sorted(presets.FOLDER.glob("*.toml")), ids=lambda path: path.stem)
def test_every_preset_keeps_its_own_budget(path: Path) -> None:
    settings = presets.read(path)
    found = cost.cost_of(settings, 2 << 30, prices.read())
    assert budget.exceeded(settings.budget, found) == ()

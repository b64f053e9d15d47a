"""The decisions agree with those of an independent evaluator, for every question."""

from collections.abc import Iterable
from typing import Any

from stagemaker.access.evaluate import Outcome, decide
from tests.unit.plugin.access.cases import OUTCOMES, policies_of, read_cases, read_excerpt, request_of


def disagreements(rows: Iterable[dict[str, Any]]) -> list[str]:
    return [
        f"{row['id']}: {outcome.value}, not {OUTCOMES[row['expected']]}"
        for row in rows
        if (outcome := decide(request_of(row), policies_of(row)).outcome) is not Outcome(OUTCOMES[row["expected"]])
    ]


def test_every_decision_is_that_of_the_independent_evaluator() -> None:
    assert disagreements(read_cases()) == []


def test_every_decision_of_the_excerpt_is_that_of_the_independent_evaluator() -> None:
    rows = list(read_excerpt())
    assert 100 <= len(rows) <= 150
    assert disagreements(rows) == []

"""The table of experiments, and the document that promises what they try."""

import re

from infra.paths import CHECKOUT
from tests.chaos.table import NAMES, PROMISES, QUICK


def test_the_document_has_a_row_for_each_experiment_with_its_promise() -> None:
    text = (CHECKOUT / "docs" / "promises.md").read_text()
    rows = re.findall(r"^\| `([a-z0-9-]+)`( \(CI\))? \| ([^|]+?) \| [^|]+ \|$", text, re.MULTILINE)
    assert {name: promise for name, _, promise in rows} == PROMISES
    assert tuple(name for name, _, _ in rows) == NAMES


def test_the_document_marks_those_that_ci_runs_and_these_are_five() -> None:
    text = (CHECKOUT / "docs" / "promises.md").read_text()
    assert tuple(re.findall(r"^\| `([a-z0-9-]+)` \(CI\) \|", text, re.MULTILINE)) == QUICK
    assert len(QUICK) == 5

"""The parts of the benchmark of IAM that need no stack."""

import gzip
import json
from pathlib import Path

from benchmarks.access import summarize
from benchmarks.access_ours import OUTCOMES, agreement, decision_figures, questions
from benchmarks.access_policies import documents
from tests.unit.sources import ROOT


def test_there_are_ten_policies_of_twenty_statements_and_a_question_for_each() -> None:
    assert [text.count('"Effect"') for text in documents()] == [20] * 10
    assert len(questions()) == 200


def test_the_figures_of_decisions_are_positive() -> None:
    figures = decision_figures()
    assert figures["statements"] == 200
    assert figures["with_caches_us"] > 0
    assert 0 < figures["without_caches_us"] < figures["from_the_texts_us"]


def test_what_strict_adds_is_the_median_of_the_differences() -> None:
    off, strict = [[0.002], [0.001, 0.003, 0.009], [0.009]], [[0.0022], [0.0031, 0.001, 0.009], [0.009]]
    assert summarize({"off": off, "strict": strict}) == {
        "off_p50_ms": 3.0, "strict_p50_ms": 3.1, "strict_adds_at_p50_ms": 0.1, "rounds": 3, "requests": 5,
    }  # fmt: skip


def test_answers_that_are_ours_are_counted(tmp_path: Path) -> None:
    rows = (ROOT / "tests" / "data" / "iam" / "cases.jsonl").read_text().splitlines()[:20]
    changed = json.loads(rows[0])
    changed["expected"] = next(name for name in OUTCOMES if name != changed["expected"])
    cases = tmp_path / "cases.jsonl.gz"
    cases.write_bytes(gzip.compress("\n".join([*rows, json.dumps(changed)]).encode()))
    assert agreement(cases) == {"questions": 21, "same": 20}

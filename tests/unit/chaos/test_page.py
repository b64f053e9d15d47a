"""The page at the end of a run, and its figures."""

import json
import xml.etree.ElementTree as ElementTree

from tests.chaos.calls import Summary
from tests.chaos.page import page
from tests.chaos.report import Check, RunReport, Second, Step, TrialReport, Verdict

SUMMARY = Summary(10, 8, {"broken": 2}, 0, 50.0, 90.0, 95.0)


def trial(name: str, *, holds: bool = True, reason: str = "") -> TrialReport:
    if reason:
        return TrialReport(name, "it goes on", 5.0, 5.0, reason=reason)
    checks = (Check("it <goes> on", holds, "2 & 3"),)
    return TrialReport(
        name, "it goes on", 1.0, 4.0, (Step(1.5, "broke it"),), checks, ("held",), (("endpoint", SUMMARY),), 0.4
    )


def run(*trials: TrialReport, checks: tuple[Check, ...] = ()) -> RunReport:
    seconds = (Second(0, 10, 0, 50.0, 90.0), Second(1, 0, 2, None, None), Second(2, 9, 0, 51.0, 2000.0))
    return RunReport(7, "make chaos SEED=7", "2026-11-26", "abc", "2 cores", 10.0, trials, seconds, checks)


def test_a_trial_held_when_every_check_does() -> None:
    assert trial("a").verdict is Verdict.HELD
    assert trial("a", holds=False).verdict is Verdict.BROKEN
    assert trial("a", reason="no engine").verdict is Verdict.LEFT_OUT


def test_a_run_held_unless_a_trial_or_a_check_did_not() -> None:
    assert run(trial("a"), trial("b", reason="no engine")).held
    assert not run(trial("a"), trial("b", holds=False)).held
    assert not run(trial("a"), checks=(Check("nothing is left", False, "a"),)).held


def test_the_document_is_json_and_has_the_verdicts_and_the_counts() -> None:
    document = json.loads(json.dumps(run(trial("a"), trial("b", holds=False)).document()))
    assert [one["verdict"] for one in document["trials"]] == ["held", "did not hold"]
    assert document["trials"][0]["streams"]["endpoint"]["failures"] == {"broken": 2}
    assert document["held"] is False


def test_the_page_has_every_trial_escapes_what_it_shows_and_loads_nothing() -> None:
    text = page(run(trial("first"), trial("second", holds=False), trial("third", reason="no <engine>")))
    for name in ("first", "second", "third"):
        assert f'<h2 id="{name}">' in text
    assert "1 promises held, 1 did not, 1 were left out" in text
    assert "it &lt;goes&gt; on" in text
    assert "no &lt;engine&gt;" in text
    assert not any(word in text for word in ("<script", "http:", "https:", "src="))


def test_the_chart_is_a_picture_with_a_band_for_each_trial_that_ran() -> None:
    text = page(run(trial("first"), trial("left", reason="no engine")))
    chart = ElementTree.fromstring(text[text.index("<svg") : text.index("</svg>") + 6])  # noqa: S314 - our own page
    titles = [title.text for title in chart.iter("title")]
    assert titles == ["first", "2 failed"]
    assert len(list(chart.iter("polyline"))) == 2


def test_a_run_without_a_call_has_a_page() -> None:
    empty = RunReport(7, "make chaos", "2026-11-26", "abc", "2 cores", 10.0, (), ())
    assert "0 promises held" in page(empty)

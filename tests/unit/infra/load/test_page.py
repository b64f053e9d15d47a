"""The page of a load: whole, self-contained, and harmless whatever an answer says."""

import json
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

from infra.load import page, pictures
from infra.load.observe import Seen
from infra.load.summary import Run, figures_of
from tests.unit.infra.load.runs import UNTRUSTED, a_run


class Elements(HTMLParser):
    """Every element of a page with its attributes, and all text."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.text += data


def html(*runs: Run) -> str:
    """The page without a picture, which takes longest."""
    return page.html([figures_of(run) for run in runs], "<svg></svg>")


def test_a_page_and_its_figures_are_written(tmp_path: Path) -> None:
    path = page.write(tmp_path / "new", [a_run()])
    assert path == tmp_path / "new" / "index.html"
    (run,) = json.loads((tmp_path / "new" / "figures.json").read_text())["runs"]
    assert run["due"] == 100
    elements = Elements(path.read_text())
    assert [tag for tag, _ in elements.found].count("svg") == 1
    assert "ModelError" in elements.text
    assert "5 (5.0%)" in elements.text
    assert "Setting desired instance count to 2." in elements.text
    assert "AlreadyAtMaxCapacity" in elements.text
    addresses = [
        value
        for _, attributes in elements.found
        for name, value in attributes.items()
        if name in ("href", "xlink:href")
    ]
    assert addresses, "the picture uses its own parts"
    assert all((value or "").startswith("#") for value in addresses), "a page needs no other file"


def test_what_comes_from_outside_is_shown_as_text() -> None:
    run = replace(a_run(title=UNTRUSTED, cause=UNTRUSTED, compressed=UNTRUSTED), called=UNTRUSTED, scaling=UNTRUSTED)
    run = replace(run, seen=replace(run.seen, missed=1, reason=UNTRUSTED))
    elements = Elements(html(run) + pictures.draw([figures_of(run)]))
    assert "script" not in {tag for tag, _ in elements.found}
    assert UNTRUSTED in elements.text


def test_runs_stand_side_by_side() -> None:
    found = html(a_run("scaled"), a_run("without scaling"))
    assert "<th>scaled</th><th>without scaling</th>" in found
    assert found.count("<h2>Scaling activities") == 2


def test_compressed_time_is_said_before_any_figure() -> None:
    found = html(a_run(compressed="time is compressed 12 times: a minute of AWS takes 5 s"))
    assert found.index("Time is compressed 12 times: a minute of AWS takes 5 s.") < found.index("<table>")
    assert "compressed" not in html(a_run())


def test_a_page_says_what_could_not_be_seen() -> None:
    missed = replace(a_run(), seen=Seen(missed=2, reason="slow"))
    assert "2 looks at the endpoint failed in “as it is”: slow" in html(missed)
    refused = replace(a_run(), seen=Seen(reason="AccessDenied"))
    assert "Application Auto Scaling could not be asked in “as it is”: AccessDenied" in html(refused)


def test_a_load_that_was_ended_at_once_is_drawn_beside_a_whole_one() -> None:
    ended = replace(a_run(), ended_s=0.0, results=[], seen=Seen())
    assert "None." in html(ended)
    assert "<svg" in pictures.draw([figures_of(ended), figures_of(a_run())])

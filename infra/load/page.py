"""The page about a load: one HTML file that needs no other, with the figures as JSON beside it."""

import json
from collections.abc import Mapping, Sequence
from html import escape
from pathlib import Path
from typing import Any

from infra.html import document, table
from infra.html import picture as shown
from infra.load import pictures
from infra.load.summary import PERCENTS, Run, figures_of

Figures = Mapping[str, Any]
ACTIVITY = ("At", "Status", "Description", "Message", "Cause", "Took")


def write(folder: Path, runs: Sequence[Run]) -> Path:
    """`index.html` and `figures.json` of runs, which are shown side by side. The page's path."""
    folder.mkdir(parents=True, exist_ok=True)
    figures = [figures_of(run) for run in runs]
    (folder / "figures.json").write_text(json.dumps({"runs": figures}, indent=1) + "\n")
    path = folder / "index.html"
    path.write_text(html(figures, pictures.draw(figures)), encoding="utf-8")
    return path


def html(runs: Sequence[Figures], picture: str) -> str:
    """The page with a picture, which is an SVG element. Whatever else comes from outside, such as the text of an error,
    is escaped."""
    notes = sorted({f"{one['compressed'][0].upper()}{one['compressed'][1:]}." for one in runs if one["compressed"]})
    notes += [
        f"{one['looks_that_failed']} looks at the endpoint failed in “{one['title']}”: {one['why_looks_failed']}"
        for one in runs if one["looks_that_failed"]
    ]  # fmt: skip
    notes += [
        f"Application Auto Scaling could not be asked in “{one['title']}”: {one['why_looks_failed']}"
        for one in runs if one["why_looks_failed"] and not one["looks_that_failed"]
    ]  # fmt: skip
    parts = [
        *(f'<p class="note">{escape(note)}</p>' for note in notes),
        table(("", *(run["title"] for run in runs)), summary_rows(runs)),
        "<p>An open loop: each request is sent when it is due, whatever became of those before it, and its latency "
        "counts from that moment. Due = answered + failed + not sent. Not sent are requests that found all connections "
        "in use for too long.</p>",
        shown(picture),
        *(_activities(one) for one in runs),
    ]
    return document(f"Load on {runs[0]['called']}", parts)


def summary_rows(runs: Sequence[Figures]) -> list[tuple[str, ...]]:
    """What is counted and measured: a row each, with a cell for each run."""
    kinds = sorted({kind for run in runs for kind in run["failed"]})
    rows: list[tuple[str, list[str]]] = [
        ("Scaling", [run["scaling"] for run in runs]),
        ("Curve", [f"{run['curve']}, {run['seconds']:.0f} s" for run in runs]),
        ("Began", [run["began"] for run in runs]),
        ("Due", [f"{run['due']:,}" for run in runs]),
        ("Answered", [_counted(run, run["answered"]) for run in runs]),
        *((f"Failed: {kind}", [_counted(run, run["failed"].get(kind, 0)) for run in runs]) for kind in kinds),
        ("Not sent", [_counted(run, run["not_sent"]) for run in runs]),
        *((f"Latency {name}, from due", [_ms(run["latency_ms"], name) for run in runs]) for name in _NAMES),
        *((f"Latency {name}, from sent", [_ms(run["latency_from_sent_ms"], name) for run in runs]) for name in _NAMES),
        ("Instance seconds", [f"{run['instance_seconds']:,.0f}" for run in runs]),
    ]
    return [(name, *cells) for name, cells in rows]


def _activities(run: Figures) -> str:
    title = f"<h2>Scaling activities: {escape(run['title'])}</h2>"
    if not run["activities"]:
        return f"{title}\n<p>None.</p>"
    return f"{title}\n{table(ACTIVITY, activity_rows(run))}"


def activity_rows(run: Figures) -> list[tuple[str, ...]]:
    """The scaling activities of a run, with the cells of ACTIVITY."""
    return [
        (
            f"{one['second']:.0f} s",
            one["status"],
            one["description"],
            one["not_scaled"] or one["message"],
            one["cause"],
            "" if one["took_s"] is None else f"{one['took_s']:.0f} s",
        )
        for one in run["activities"]
    ]


_NAMES = (*(f"p{percent}" for percent in PERCENTS), "max")


def _counted(run: Figures, count: int) -> str:
    share = f" ({count / run['due']:.1%})" if run["due"] else ""
    return f"{count:,}{share}"


def _ms(latencies_ms: Mapping[str, float], name: str) -> str:
    return f"{latencies_ms[name]:,.1f} ms" if latencies_ms else "none"

"""Pure: the page at the end of a run, one HTML file that needs nothing else."""

import math
from collections.abc import Callable, Iterable, Iterator
from html import escape

from tests.chaos.calls import Summary
from tests.chaos.report import Check, RunReport, Second, TrialReport, Verdict

WIDTH, HEIGHT, LEFT, BOTTOM = 1200, 260, 60, 30
_COLOURS = {Verdict.HELD: "#1a7f37", Verdict.BROKEN: "#cf222e", Verdict.LEFT_OUT: "#6e7781"}
_COLUMNS = ("experiment", "verdict", "took s", "sent", "answered", "failed", "p50 ms", "p99 ms", "max ms", "outage s")
_STYLE = """
body { font: 15px/1.45 system-ui, sans-serif; max-width: 1240px; margin: 2em auto; padding: 0 1em; color: #1f2328 }
table { border-collapse: collapse; margin: .6em 0 1.2em } td, th { border: 1px solid #d0d7de; padding: .25em .6em }
td.number { text-align: right } h2 { margin-top: 2em } .verdict { color: #fff; border-radius: 4px; padding: .1em .5em }
svg { width: 100%; height: auto; border: 1px solid #d0d7de } .seen { color: #57606a }
@media (max-width: 50rem) { table { display: block; overflow-x: auto } }
"""


def page(run: RunReport) -> str:
    """The whole document."""
    broken = sum(trial.verdict is Verdict.BROKEN for trial in run.trials)
    left_out = sum(trial.verdict is Verdict.LEFT_OUT for trial in run.trials)
    held = len(run.trials) - broken - left_out
    return "\n".join(
        [
            '<!doctype html><html lang="en"><meta charset="utf-8"><title>Chaos suite</title>',
            '<meta name="viewport" content="width=device-width, initial-scale=1">',
            f"<style>{_STYLE}</style>",
            "<h1>Chaos suite</h1>",
            f"<p>{held} promises held, {broken} did not, {left_out} were left out. {_text(run.when)}, revision "
            f"{_text(run.revision)}, {_text(run.machine)}. Again: <code>{_text(run.command)}</code></p>",
            f"<p>The load: {run.rate_per_s:g} calls of the endpoint a second, each due at its own time whether or not "
            "the calls before it have ended. Latencies count from that time.</p>",
            _chart(run),
            _overview(run.trials),
            _checks(run.checks),
            *(_trial(trial) for trial in run.trials),
            "</html>",
        ]
    )


def _text(value: object) -> str:
    return escape(str(value))


def _badge(verdict: Verdict) -> str:
    return f'<span class="verdict" style="background:{_COLOURS[verdict]}">{verdict}</span>'


def _overview(trials: Iterable[TrialReport]) -> str:
    rows = []
    for trial in trials:
        calls = dict(trial.streams).get("endpoint")
        cells = "".join(f'<td class="number">{cell}</td>' for cell in _figures(calls))
        rows.append(
            f'<tr><td><a href="#{_text(trial.name)}">{_text(trial.name)}</a></td><td>{_badge(trial.verdict)}</td>'
            f'<td class="number">{trial.ended_s - trial.began_s:.0f}</td>{cells}'
            f'<td class="number">{trial.outage_s:.1f}</td></tr>'
        )
    head = "".join(f"<th>{name}</th>" for name in _COLUMNS)
    return f"<h2>Endpoint calls of each experiment</h2><table><tr>{head}</tr>{''.join(rows)}</table>"


def _figures(calls: Summary | None) -> tuple[str, ...]:
    if calls is None:
        return ("",) * 6
    times = (calls.p50_ms, calls.p99_ms, calls.max_ms)
    counts = (calls.sent, calls.answered, sum(calls.failures.values()))
    return (*map(str, counts), *("" if time is None else f"{time:.0f}" for time in times))


def _trial(trial: TrialReport) -> str:
    parts = [
        f'<h2 id="{_text(trial.name)}">{_text(trial.name)} {_badge(trial.verdict)}</h2>',
        f"<p>Promise: {_text(trial.promise)}</p>",
    ]
    if trial.reason:
        return "".join([*parts, f"<p>Left out: {_text(trial.reason)}</p>"])
    steps = "".join(
        f'<tr><td class="number">{step.at_s:.1f}</td><td>{_text(step.text)}</td></tr>' for step in trial.steps
    )
    parts.append(f"<table><tr><th>at s</th><th>what was done</th></tr>{steps}</table>")
    parts.append(_checks(trial.checks))
    if trial.allowed:
        parts.append(f"<p>Allowed to fail: {_text('; '.join(trial.allowed))}.</p>")
    for name, calls in trial.streams:
        failures = ", ".join(f"{count} {kind}" for kind, count in calls.failures.items()) or "none"
        parts.append(f"<p>{_text(name)}: {calls.sent} sent, {calls.answered} answered, failed: {_text(failures)}.</p>")
    return "".join(parts)


def _checks(checks: Iterable[Check]) -> str:
    rows = "".join(
        f"<tr><td>{_badge(Verdict.HELD if check.holds else Verdict.BROKEN)}</td><td>{_text(check.claim)}</td>"
        f'<td class="seen">{_text(check.seen)}</td></tr>'
        for check in checks
    )
    return f"<table>{rows}</table>" if rows else ""


def _chart(run: RunReport) -> str:
    """Median and longest latency of each second on a logarithmic scale, failed calls, and a band for each trial."""
    length_s = max([1, *(second.at_s + 1 for second in run.seconds)])

    def x(at_s: float) -> float:
        return LEFT + (WIDTH - LEFT) * at_s / length_s

    def y(ms: float) -> float:
        decades = max(0.0, min(1.0, math.log10(max(ms, 10) / 10) / 4))  # from 10 ms to 100 s
        return (HEIGHT - BOTTOM) * (1 - decades)

    parts = [f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="latencies and failures over the run">']
    for number, trial in enumerate(run.trials):
        if trial.verdict is Verdict.LEFT_OUT:
            continue
        left, width = x(trial.began_s), max(1.0, x(trial.ended_s) - x(trial.began_s))
        fill = "#f6f8fa" if number % 2 else "#eaeef2"
        parts.append(f'<rect x="{left:.1f}" y="0" width="{width:.1f}" height="{HEIGHT - BOTTOM}" fill="{fill}">')
        parts.append(f"<title>{_text(trial.name)}</title></rect>")
    for ms, label in ((10, "10 ms"), (100, "100 ms"), (1000, "1 s"), (10_000, "10 s"), (100_000, "100 s")):
        parts.append(f'<line x1="{LEFT}" x2="{WIDTH}" y1="{y(ms):.1f}" y2="{y(ms):.1f}" stroke="#d0d7de"/>')
        parts.append(f'<text x="4" y="{min(HEIGHT - BOTTOM, y(ms) + 12):.1f}" font-size="12">{label}</text>')
    for member, colour in (("max_ms", "#bf8700"), ("p50_ms", "#0969da")):
        points = " ".join(_points(run.seconds, member, x, y))
        parts.append(f'<polyline points="{points}" fill="none" stroke="{colour}"/>')
    for second in run.seconds:
        if second.failed:
            height = min(60, 6 * second.failed)
            parts.append(
                f'<rect x="{x(second.at_s):.1f}" y="{HEIGHT - BOTTOM - height}" width="{max(1.0, x(1) - x(0)):.1f}" '
                f'height="{height}" fill="#cf222e"><title>{second.failed} failed</title></rect>'
            )
    legend = "blue: median, yellow: longest answer, red: failed calls, of each second; grey: experiments (point at one)"
    parts.append(f'<text x="{LEFT}" y="{HEIGHT - 10}" font-size="12">{legend}; {length_s} s</text></svg>')
    return "".join(parts)


def _points(
    seconds: Iterable[Second], member: str, x: Callable[[float], float], y: Callable[[float], float]
) -> Iterator[str]:
    for second in seconds:
        if (ms := getattr(second, member)) is not None:
            yield f"{x(second.at_s):.1f},{y(ms):.1f}"

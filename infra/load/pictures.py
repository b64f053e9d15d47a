"""The picture of a load: requests, latencies, failures, instances and alarms over the same seconds, as SVG."""

import io
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, MaxNLocator, NullFormatter

from infra.load.observe import short_name

_BLUE, _ORANGE, _GREEN, _RED, _GREY = "#1f77b4", "#ff7f0e", "#2ca02c", "#d62728", "#7f7f7f"
_LIGHT = "#d9d9d9"
_STATES = {"OK": _GREEN, "ALARM": _RED, "INSUFFICIENT_DATA": _LIGHT}
_KINDS = (_ORANGE, _RED, "#9467bd", "#8c564b", "#e377c2", "#17becf", "#bcbd22")
_HEIGHTS = (3, 3, 2, 2, 1.2)

Figures = Mapping[str, Any]


def draw(runs: Sequence[Figures]) -> str:
    """An SVG element with a column for each run; all have the same scales."""
    figure = Figure(figsize=(9 if len(runs) == 1 else 6.5 * len(runs), 11), layout="constrained")
    grid = figure.subplots(
        len(_ROWS), len(runs), sharex=True, sharey="row", squeeze=False, gridspec_kw={"height_ratios": _HEIGHTS}
    )
    for column, run in enumerate(runs):
        for row, draw_row in enumerate(_ROWS):
            draw_row(grid[row][column], run)
            grid[row][column].grid(visible=True, color=_LIGHT, linewidth=0.5)
            grid[row][column].set_axisbelow(True)
        grid[0][column].set_title(run["title"])
        grid[-1][column].set_xlabel("seconds")
    return _svg(figure)


def _requests(axes: Axes, run: Figures) -> None:
    buckets = run["buckets"]
    _steps(axes, buckets, [_rate(one, one["due"]) for one in buckets], color=_GREY, linestyle="--", label="due")
    _steps(axes, buckets, [_rate(one, one["answered"]) for one in buckets], color=_BLUE, label="answered")
    failed = [_rate(one, sum(one["failed"].values()) + one["not_sent"]) for one in buckets]
    if any(failed):
        _steps(axes, buckets, failed, color=_RED, label="failed or not sent")
    axes.set_ylabel("requests per s")
    _from_zero(axes, max(_rate(one, one["due"]) for one in buckets))
    _legend(axes)


def _latency(axes: Axes, run: Figures) -> None:
    measured = [one for one in run["buckets"] if one["latency_ms"]]
    middles = [one["second"] + one["seconds"] / 2 for one in measured]
    for name, colour in (("p99", _RED), ("p95", _ORANGE), ("p50", _BLUE)):
        axes.plot(middles, [one["latency_ms"][name] for one in measured], ".-", color=colour, label=name)
    axes.set_yscale("log")
    axes.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axes.yaxis.set_major_formatter("{x:g}")
    axes.yaxis.set_minor_formatter(NullFormatter())
    axes.set_ylabel("latency from due, ms")
    _legend(axes)


def _failures(axes: Axes, run: Figures) -> None:
    buckets = run["buckets"]
    kinds = sorted({kind for one in buckets for kind in one["failed"]})
    counts = {kind: [one["failed"].get(kind, 0) for one in buckets] for kind in kinds}
    if run["not_sent"]:
        counts["Not sent"] = [one["not_sent"] for one in buckets]
    below = [0] * len(buckets)
    for number, (kind, heights) in enumerate(counts.items()):
        axes.bar(
            [one["second"] for one in buckets], heights, [one["seconds"] for one in buckets], below, align="edge",
            color=_KINDS[number % len(_KINDS)], label=kind,
        )  # fmt: skip
        below = [low + height for low, height in zip(below, heights, strict=True)]
    axes.set_ylabel("failures")
    axes.yaxis.set_major_locator(MaxNLocator(integer=True))
    _from_zero(axes, max(below))
    if counts:
        _legend(axes)


def _instances(axes: Axes, run: Figures) -> None:
    seen = run["observations"]
    seconds = [*(one["second"] for one in seen), max(run["seconds"], *(one["second"] for one in seen[-1:]), 0)]
    for name, colour, line in (("current", _BLUE, "-"), ("desired", _GREY, "--")):
        values = [one[name] for one in seen]
        axes.step(seconds, [*values, *values[-1:]] or [0], line, where="post", color=colour, label=name)
    changes = [one["second"] for one in run["activities"] if not one["not_scaled"]]
    for number, second in enumerate(changes):
        axes.axvline(second, color=_GREEN, linewidth=1, label=None if number else "scaling activity")
    axes.set_ylabel("instances")
    axes.yaxis.set_major_locator(MaxNLocator(integer=True))
    _from_zero(axes, max((max(one["current"], one["desired"]) for one in seen), default=0))
    _legend(axes)


def _alarms(axes: Axes, run: Figures) -> None:
    seen = run["observations"]
    names = sorted({name for one in seen for name in one["alarms"]})
    if not names:
        axes.set_ylabel("no alarms")
        return
    ends = [*(one["second"] for one in seen[1:]), run["seconds"]]
    for place, name in enumerate(names):
        for state, colour in _STATES.items():
            spans = [
                (one["second"], max(0.0, end - one["second"]))
                for one, end in zip(seen, ends, strict=True)
                if one["alarms"].get(name) == state
            ]
            axes.broken_barh(spans, (place - 0.4, 0.8), color=colour)
    axes.set_yticks(range(len(names)), [short_name(name) for name in names])
    for state, colour in _STATES.items():
        axes.plot([], [], color=colour, linewidth=6, label=state)
    axes.legend(loc="upper center", bbox_to_anchor=(0.5, -0.5), ncols=len(_STATES), frameon=False)


_ROWS: tuple[Callable[[Axes, Figures], None], ...] = (_requests, _latency, _failures, _instances, _alarms)


def _legend(axes: Axes) -> None:
    """Beside the axes, so that it hides nothing."""
    axes.legend(loc="upper left", bbox_to_anchor=(1, 1), frameon=False)


def _from_zero(axes: Axes, highest: float) -> None:
    """A scale that shows 0 and the highest value of this column and of those before it."""
    axes.set_ylim(0, max(axes.get_ylim()[1], 1.15 * highest, 1))


def _rate(bucket: Figures, count: int) -> float:
    return count / float(bucket["seconds"])


def _steps(axes: Axes, buckets: Sequence[Figures], values: list[float], **style: Any) -> None:
    last = buckets[-1]
    seconds = [*(one["second"] for one in buckets), last["second"] + last["seconds"]]
    axes.step(seconds, [*values, values[-1]], where="post", **style)


def _svg(figure: Figure) -> str:
    """Only the element, as a page holds it. The same figures give the same text."""
    file = io.StringIO()
    with mpl.rc_context({"svg.hashsalt": "stagemaker"}):
        figure.savefig(file, format="svg", metadata={"Date": None})
    text = file.getvalue()
    return text[text.index("<svg") :]

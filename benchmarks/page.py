"""The page of the benchmarks in `docs/`, and the picture of their history, both made from `results/`."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path

from benchmarks.history import Run
from benchmarks.measures import Value
from infra.paths import CHECKOUT

PAGE = CHECKOUT / "docs" / "benchmarks.md"
PICTURE = CHECKOUT / "docs" / "benchmarks.svg"
BEGIN, END = "<!-- benchmarks: python -m benchmarks page -->", "<!-- end of benchmarks -->"
_COLORS = ("#2a6ebb", "#c2571a", "#3a8f4d", "#8a4fa3", "#7a7a7a", "#b8a02e")


def table(history: Mapping[str, Sequence[Run]]) -> str:
    """The newest run of each scenario, in Markdown."""
    lines = ["| scenario | what | | noise | run | load | CPU |", "|---|---|---|---|---|---|---|"]
    for scenario in sorted(history):
        run = history[scenario][-1]
        cpu = f"{run.cpu}, {run.machine['cores']} cores" if run.cpu else f"{run.machine['cores']} cores"
        about = f"{run.when:%Y-%m-%d} {run.revision} | {run.machine['load_average'][0]:g} | {cpu}"
        lines += [
            f"| {scenario} | {value.title} | {value.number:.3g} | {_noise(value)} | {about} |" for value in run.values
        ]
    return "\n".join(lines)


def _noise(value: Value) -> str:
    return "" if value.noise is None else f"± {value.noise:.0%}"


def with_table(text: str, made: str) -> str:
    """The text of the page with this table between the two marks."""
    before, rest = text.split(BEGIN)
    after = rest.split(END)[1]
    return f"{before}{BEGIN}\n\n{made}\n\n{END}{after}"


def points(history: Mapping[str, Sequence[Run]]) -> dict[str, dict[str, list[tuple[str, float]]]]:
    """What the picture shows: of each scenario its ratios, each with its runs, oldest first."""
    found: dict[str, dict[str, list[tuple[str, float]]]] = {}
    for scenario in sorted(history):
        for run in history[scenario]:
            for value in run.values:
                if value.is_ratio:
                    of_title = found.setdefault(scenario, {}).setdefault(value.title, [])
                    of_title.append((run.machine["when"], value.number))
    return found


def digest(history: Mapping[str, Sequence[Run]]) -> str:
    """Of what the picture shows; the picture carries it."""
    return hashlib.sha256(json.dumps(points(history), sort_keys=True).encode()).hexdigest()


def draw(history: Mapping[str, Sequence[Run]], path: Path) -> None:
    """Write the picture: of each scenario the ratios of its runs, side by side in their order."""
    import matplotlib

    matplotlib.use("svg")
    from matplotlib import pyplot

    shown = points(history)
    matplotlib.rcParams |= {"svg.hashsalt": "stagemaker", "svg.fonttype": "none"}  # the same small file each time
    columns = 3
    rows = -(-len(shown) // columns)
    figure, axes = pyplot.subplots(rows, columns, figsize=(4.4 * columns, 2.9 * rows), squeeze=False)
    for axis, (scenario, by_title) in zip(axes.flat, shown.items(), strict=False):
        times = sorted({when for found in by_title.values() for when, _ in found})
        for number, (title, found) in enumerate(by_title.items()):
            places = [times.index(when) for when, _ in found]
            color = _COLORS[number % len(_COLORS)]
            axis.plot(places, [value for _, value in found], "o-", label=title, color=color, markersize=4)
        axis.axhline(1, color="#cccccc", linewidth=0.8, zorder=0)
        axis.set_title(scenario, fontsize=9)
        axis.set_xticks(range(len(times)), [f"{when[5:10]}\n{when[11:16]}" for when in times], fontsize=6)
        axis.tick_params(axis="y", labelsize=7)
        axis.set_ylim(bottom=0)
        axis.legend(fontsize=5.5, frameon=False)
    for axis in list(axes.flat)[len(shown) :]:
        axis.set_visible(False)
    figure.tight_layout()
    figure.savefig(path, format="svg", metadata={"Date": None, "Description": digest(history)})
    pyplot.close(figure)


def write(history: Mapping[str, Sequence[Run]], page: Path = PAGE, picture: Path = PICTURE) -> None:
    """Bring the page's table and the picture up to date."""
    page.write_text(with_table(page.read_text(), table(history)))
    draw(history, picture)

"""Shows the figures of the scenario serve_speed: a table in Markdown, and a picture."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

_COLUMNS = ("1 clients", "8 clients", "32 clients", "256 clients")


def models(figures: Mapping[str, Any]) -> dict[str, Any]:
    """The figures of each model."""
    return {name: found for name, found in figures.items() if isinstance(found, dict) and "servers" in found}


def table(figures: Mapping[str, Any]) -> str:
    """Answers a second and p99 in ms of each server, then the limits and the ratios."""
    lines = [
        "| model | server | 1 client | 8 | 32 | 256 | CPU ms at 8 | first answer s | MB |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for model, found in models(figures).items():
        for server, shown in found["servers"].items():
            cells = [_cell(shown[column]) for column in _COLUMNS]
            cells += [str(shown["8 clients"].get("cpu_ms", "")), str(shown["first_answer_s"]), str(shown["memory_mb"])]
            lines.append(f"| {model} | {server} | {' | '.join(cells)} |")
    lines += [
        "",
        "Answers a second / p99 in ms. CPU ms: of the server's processes, for an answer.",
        *(f"Left out: {name}: {reason}." for name, reason in figures.get("left out", {}).items()),
        "",
        "| model | engine | limits a second | ratios |",
        "|---|---|---|---|",
    ]
    for model, found in models(figures).items():
        engine = " ".join(map(str, found["engine"].values()))
        limits, ratios = (
            ", ".join(f"{name} {value}" for name, value in found[key].items()) for key in ("limits_per_s", "ratios")
        )
        lines.append(f"| {model} | {engine} | {limits} | {ratios} |")
    return "\n".join([*lines, ""])


def _cell(figures: Mapping[str, float]) -> str:
    return f"{figures['answered_per_s']:g} / {figures.get('answer_p99_ms', float('nan')):.0f}"


def write_page(figures: Mapping[str, Any], folder: Path) -> None:
    """Writes serve_speed.md and serve_speed.svg into the folder."""
    (folder / "serve_speed.md").write_text(table(figures))
    import matplotlib

    matplotlib.use("svg")
    from matplotlib import pyplot

    shown = models(figures)
    figure, axes = pyplot.subplots(1, len(shown), figsize=(4 * len(shown), 3.2), squeeze=False)
    for axis, (model, found) in zip(axes[0], shown.items(), strict=True):
        for server, loads in found["servers"].items():
            axis.plot([1, 8, 32, 256], [loads[column]["answered_per_s"] for column in _COLUMNS], "o-", label=server)
        limits = found["limits_per_s"]
        allowed = 1 / sum(1 / limits[name] for name in ("http", "forward", "decode"))
        axis.axhline(allowed, color="grey", linestyle=":", label="what the limits allow")
        axis.set(title=model, xlabel="clients", xscale="log", xticks=[1, 8, 32, 256], xticklabels=[1, 8, 32, 256])
        axis.set_ylim(bottom=0)
    axes[0][0].set_ylabel("answers a second")
    axes[0][0].legend(fontsize="small")
    figure.tight_layout()
    figure.savefig(folder / "serve_speed.svg", metadata={"Date": None})
    pyplot.close(figure)

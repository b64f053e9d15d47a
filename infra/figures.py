"""Pictures of a search for hyperparameters, as SVG files."""

from collections.abc import Sequence
from pathlib import Path
from statistics import median
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, MaxNLocator, NullFormatter
from sklearn.ensemble import RandomForestRegressor
from sklearn.inspection import permutation_importance

from infra.resources.tuning import Trial

_BLUE, _ORANGE, _GREY = "#1f77b4", "#ff7f0e", "#7f7f7f"
_MAX_TICKS = 6  # values that are named one by one
_TREES, _REPEATS, _SEED = 200, 20, 0


def draw(folder: Path, trials: Sequence[Trial], names: Sequence[str], objective: str) -> list[Path]:
    """Three pictures of trials that have a value, in their order: the objective over the trials with the median so far,
    each of the hyperparameters `names` against it, and how much each matters. Their files."""
    folder.mkdir(parents=True, exist_ok=True)
    return [
        _save(_over_trials(trials, objective), folder / "objective.svg"),
        _save(_against_each(trials, names, objective), folder / "hyperparameters.svg"),
        _save(_importance(trials, names, objective), folder / "importance.svg"),
    ]


def medians(trials: Sequence[Trial]) -> list[float]:
    """The median of the objective of all trials up to each."""
    values = _values(trials)
    return [median(values[: count + 1]) for count in range(len(values))]


def importances(trials: Sequence[Trial], names: Sequence[str]) -> dict[str, float]:
    """How much of the objective's change each hyperparameter explains, in shares of 1: by how much worse a random
    forest predicts the objective when the hyperparameter's values are shuffled (scikit-learn's permutation importance,
    from a fixed seed). All 0 when the objective does not change."""
    inputs = np.array([_coordinates(trials, name) for name in names]).T
    values = np.array(_values(trials))
    if np.ptp(values) == 0:
        return dict.fromkeys(names, 0.0)
    forest = RandomForestRegressor(_TREES, random_state=_SEED).fit(inputs, values)
    found = permutation_importance(forest, inputs, values, n_repeats=_REPEATS, random_state=_SEED).importances_mean
    found = np.maximum(found, 0)
    return {name: float(share) for name, share in zip(names, found / (found.sum() or 1), strict=True)}


def _over_trials(trials: Sequence[Trial], objective: str) -> Figure:
    figure, (axes,) = _figure(1)
    numbers = [trial.number for trial in trials]
    for stopped, colour, marker, words in ((False, _BLUE, "o", "completed"), (True, _ORANGE, "X", "stopped early")):
        shown = [trial for trial in trials if trial.was_stopped is stopped]
        if shown:
            axes.plot([trial.number for trial in shown], _values(shown), marker, color=colour, label=words)
    axes.step(numbers, medians(trials), where="post", color=_GREY, label="median so far")
    axes.set_xlabel("training job")
    axes.set_ylabel(objective)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.legend()
    return figure


def _against_each(trials: Sequence[Trial], names: Sequence[str], objective: str) -> Figure:
    figure, all_axes = _figure(len(names))
    for axes, name in zip(all_axes, names, strict=True):
        numbers = _numbers(trials, name)
        places: Sequence[Any] = numbers or [trial.values.get(name, "") for trial in trials]
        if numbers and min(numbers) > 0 and max(numbers) >= 10 * min(numbers):
            axes.set_xscale("log")
            axes.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
            axes.xaxis.set_major_formatter("{x:g}")
            axes.xaxis.set_minor_formatter(NullFormatter())
        elif numbers and len(set(numbers)) <= _MAX_TICKS:
            axes.set_xticks(sorted(set(numbers)))
        axes.plot(places, _values(trials), "o", color=_BLUE)
        axes.set_xlabel(name)
        axes.set_ylabel(objective)
    return figure


def _importance(trials: Sequence[Trial], names: Sequence[str], objective: str) -> Figure:
    figure, (axes,) = _figure(1)
    shares = importances(trials, names)
    axes.barh(list(shares), list(shares.values()), color=_BLUE)
    axes.set_xlim(0, 1)
    axes.set_xlabel(f"share of the change of {objective} that it explains")
    return figure


def _figure(count: int) -> tuple[Figure, list[Axes]]:
    figure = Figure(figsize=(4.5 * count + 1, 3.5), layout="constrained")
    return figure, [figure.add_subplot(1, count, number + 1) for number in range(count)]


def _save(figure: Figure, path: Path) -> Path:
    """The same search gives the same file."""
    with mpl.rc_context({"svg.hashsalt": "stagemaker"}):
        figure.savefig(path, metadata={"Date": None})
    return path


def _values(trials: Sequence[Trial]) -> list[float]:
    return [trial.value for trial in trials if trial.value is not None]


def _numbers(trials: Sequence[Trial], name: str) -> list[float]:
    """The values as numbers; nothing when one is none."""
    try:
        return [float(trial.values[name]) for trial in trials]
    except (KeyError, ValueError):
        return []


def _coordinates(trials: Sequence[Trial], name: str) -> list[float]:
    """Numbers as they are, else the place of each value in the order of all."""
    values = [trial.values.get(name, "") for trial in trials]
    order = sorted(set(values))
    return _numbers(trials, name) or [float(order.index(value)) for value in values]

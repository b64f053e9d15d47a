"""The runs of the benchmarks: one JSON each, `results/<scenario>/<time>-<revision>.json`. None is ever overwritten.

A run holds its command, its figures, and the machine: when, at which revision, CPU with the instructions that matter,
versions of packages, load average. What an older run does not say stays unknown.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

from benchmarks.measures import Value, values

RESULTS = Path(__file__).parent / "results"
UNKNOWN_NOISE = 0.25  # (ours) of a measure whose run does not say how its rounds varied


@dataclass(frozen=True)
class Run:
    """One run of a scenario. `spreads` is the noise of measures that the figures do not tell, by title."""

    scenario: str
    command: str
    machine: Mapping[str, Any]
    figures: Mapping[str, Any]
    spreads: Mapping[str, float] = field(default_factory=dict)

    @property
    def when(self) -> datetime:
        """Its end, in UTC."""
        return datetime.fromisoformat(self.machine["when"])

    @property
    def revision(self) -> str:
        """The commit, with -dirty where the checkout differed from it."""
        return str(self.machine["revision"])

    @property
    def cpu(self) -> str:
        """The model of the CPU; empty where the run does not say."""
        return str(self.machine.get("cpu", {}).get("model", ""))

    @property
    def values(self) -> list[Value]:
        """Its measures."""
        return values(self.scenario, self.figures, self.spreads)


@dataclass(frozen=True)
class Comparison:
    """A measure of the newest run beside the last one's on such a machine. `worse` is by how much it is worse, in
    parts of the old number, below 0 where it is better; `noise` by how much both vary by themselves."""

    scenario: str
    title: str
    old: float
    new: float
    worse: float
    noise: float

    @property
    def is_regression(self) -> bool:
        """Whether it is worse by more than the noise."""
        return self.worse > self.noise

    def __str__(self) -> str:
        verdict = "WORSE" if self.is_regression else "better" if self.worse < -self.noise else "as before"
        change = f"{abs(self.worse):.0%} {'worse' if self.worse > 0 else 'better'}, noise {self.noise:.0%}"
        return f"{verdict:9}  {self.scenario}: {self.title}: {self.old:.4g} -> {self.new:.4g} ({change})"


def path_of(run: Run, folder: Path = RESULTS) -> Path:
    """Where a run lies."""
    return folder / run.scenario / f"{run.when:%Y%m%d-%H%M%S}-{run.revision or 'unknown'}.json"


def save(run: Run, folder: Path = RESULTS) -> Path:
    """Write the run; its file."""
    path = path_of(run, folder)
    path.parent.mkdir(parents=True, exist_ok=True)
    document = {"scenario": run.scenario, "command": run.command, "machine": run.machine, "figures": run.figures}
    path.write_text(json.dumps({**document, **({"spreads": run.spreads} if run.spreads else {})}, indent=2) + "\n")
    return path


def read(folder: Path = RESULTS) -> dict[str, list[Run]]:
    """The runs of each scenario, oldest first."""
    found: dict[str, list[Run]] = {}
    for path in sorted(folder.glob("*/*.json")):
        found.setdefault(path.parent.name, []).append(Run(**json.loads(path.read_text())))
    return {scenario: sorted(runs, key=lambda run: run.when) for scenario, runs in found.items()}


def last_before(runs: Sequence[Run]) -> Run | None:
    """The last run before the newest of these on such a machine: of the same CPU, with as many cores. None where there
    is none, or where the newest does not say what its CPU is."""
    *older, newest = runs
    alike = [run for run in older if run.cpu == newest.cpu and run.machine["cores"] == newest.machine["cores"]]
    return alike[-1] if newest.cpu and alike else None


def compare(old: Run, new: Run) -> list[Comparison]:
    """Each measure that both runs have."""
    before = {value.title: value for value in old.values}
    return [
        Comparison(new.scenario, value.title, then.number, value.number, _worse(then, value), _noise(then, value))
        for value in new.values
        if (then := before.get(value.title)) and then.number > 0 and value.number > 0
    ]


def _worse(old: Value, new: Value) -> float:
    above, below = (new.number, old.number) if new.better == "less" else (old.number, new.number)
    return above / below - 1


def _noise(*found: Value) -> float:
    return sum(UNKNOWN_NOISE / 2 if value.noise is None else value.noise for value in found)


def report(history: Mapping[str, Sequence[Run]], scenarios: Iterable[str] = ()) -> tuple[list[str], bool]:
    """Lines that compare the newest run of each scenario, or of those that are named, with the last one on such a
    machine; and whether one of them is a regression."""
    lines, worse = list[str](), False
    for scenario in scenarios or history:
        runs = history.get(scenario, [])
        if not runs:
            lines.append(f"none       {scenario}: there is no run of it")
            continue
        newest = runs[-1]
        old = last_before(runs)
        if old is None:
            why = "no other run was on such a machine" if newest.cpu else "its run does not say what its CPU is"
            lines.append(f"alone      {scenario}: {why}")
            continue
        found = compare(old, newest)
        lines += [f"{one}, load {_load(old)} and {_load(newest)}" for one in found]
        worse = worse or any(one.is_regression for one in found)
    return lines, worse


def _load(run: Run) -> str:
    return f"{run.machine['load_average'][0]:g}"

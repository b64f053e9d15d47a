"""`tune`: a tuning job with a live table of its training jobs, and at the end its best and pictures of the search."""

from collections.abc import Callable

from infra import engine
from infra.deployment import Deployment
from infra.paths import paths
from infra.resources.resource import Resource, State
from infra.resources.tuning import Trial, trials
from infra.terminal import Terminal
from infra.typed import make

MIN_DRAWN = 2  # trials with an objective, before a picture says anything


def run(deployment: Deployment, terminal: Terminal) -> str:
    """Bring the tuning job to its end. Its name. Raises StepFailed."""
    settings = deployment.blueprint.settings.tuning
    names = (*settings.ranges.continuous, *settings.ranges.categorical)
    header = ("Job", *names, settings.objective, "State", "Time")
    with terminal.live_table(header) as show:
        shown = _shown_by(show, names)
        resources = deployment.tuning(terminal, shown)
        job = resources[-1]
        engine.apply(resources, terminal)
    found = trials(deployment.clients.sagemaker, job.name)
    _draw(job, found, names, settings.objective, terminal)
    state = job.read() or {}
    terminal.say(f"Best of {len(found)} training jobs: {job.remark(state)}")
    terminal.say(f"Train with them: {make('train')} BEST=1")
    return job.name


def _shown_by(show: Callable[[list[tuple[str, ...]]], None], names: tuple[str, ...]) -> Callable[..., None]:
    def shown(state: State, found: list[Trial]) -> None:
        best = state.get("BestTrainingJob", {}).get("TrainingJobName")
        show([_row(trial, names, is_best=trial.name == best) for trial in found])

    return shown


def _row(trial: Trial, names: tuple[str, ...], *, is_best: bool) -> tuple[str, ...]:
    value = "" if trial.value is None else f"{trial.value:.4f}{' (best)' if is_best else ''}"
    state = "Stopped early" if trial.was_stopped else trial.status
    took = f"{(trial.ended - trial.started).total_seconds():.0f} s" if trial.ended and trial.started else ""
    return (str(trial.number), *(short(trial.values.get(name, "")) for name in names), value, state, took)


def short(text: str) -> str:
    """A number with four digits, or the text: for a table, where more would hide the rest."""
    try:
        return text if text.isdecimal() else f"{float(text):.4g}"
    except ValueError:
        return text


def _draw(job: Resource, found: list[Trial], names: tuple[str, ...], objective: str, terminal: Terminal) -> None:
    measured = [trial for trial in found if trial.value is not None]
    if len(measured) < MIN_DRAWN:
        terminal.say("Too few training jobs have an objective to draw them.")
        return
    from infra import figures  # matplotlib takes a second to import, which no other verb should wait for

    folder = paths().pictures / job.name
    for path in figures.draw(folder, measured, names, objective):
        terminal.say(f"Picture: {path}")

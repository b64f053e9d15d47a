"""The search for hyperparameters."""

from collections.abc import Mapping, Sequence
from typing import Any

from infra import tuning
from infra.errors import StepFailed
from infra.paths import paths
from infra.rehearse.rehearsal import Rehearsal
from infra.rehearse.section import Section, Table
from infra.resources.tuning import Trial, trials
from infra.settings import TuningSettings


def play(rehearsal: Rehearsal) -> Section:
    """Search as `make tune` does, and deploy with the best from now on. Raises StepFailed when nothing is found."""
    sagemaker = rehearsal.clients.sagemaker
    job = tuning.run(rehearsal.deployment, rehearsal.terminal)
    described = sagemaker.describe_hyper_parameter_tuning_job(HyperParameterTuningJobName=job)
    found = trials(sagemaker, job)
    best = described.get("BestTrainingJob")
    if best is None:
        raise StepFailed("No training job of the search has an objective.", "Read their logs above.")
    rehearsal.tuned = [sagemaker.describe_training_job(TrainingJobName=trial.name) for trial in found]
    rehearsal.decide(best["TunedHyperParameters"])
    took_s = (described["HyperParameterTuningEndTime"] - described["CreationTime"]).total_seconds()
    settings = rehearsal.deployment.blueprint.settings.tuning
    return section(found, best["TrainingJobName"], settings, took_s, _pictures(job))


def section(
    found: Sequence[Trial], best: str, settings: TuningSettings, took_s: float, pictures: tuple[str, ...]
) -> Section:
    """What the search found; `best` is the name of its best training job."""
    names = (*settings.ranges.continuous, *settings.ranges.categorical)
    rows = tuple(_row(trial, names, is_best=trial.name == best) for trial in found)
    chosen = next(trial for trial in found if trial.name == best)
    values = ", ".join(f"{name}={value}" for name, value in chosen.values.items())
    shown = ", ".join(f"{name}={tuning.short(value)}" for name, value in chosen.values.items())
    stopped = sum(trial.was_stopped for trial in found)
    told = (
        f"{len(found)} training jobs, {settings.parallel} at once, strategy {settings.strategy}, early stopping "
        f"{settings.early_stopping} ({stopped} stopped), in {took_s:.0f} s."
    )
    return Section(
        "Tuning",
        (told, f"The best has {settings.objective} {chosen.value:.4f} with {values}; the models are trained with it."),
        (Table(("Job", *names, settings.objective, "State", "Seconds"), rows),),
        pictures=pictures,
        here={"tuning": f"{len(found)} jobs, {settings.parallel} at once, {took_s:.0f} s; best: {shown}"},
    )


def _row(trial: Trial, names: Sequence[str], *, is_best: bool) -> tuple[str, ...]:
    value = "none" if trial.value is None else f"{trial.value:.4f}{' (best)' if is_best else ''}"
    state = "Stopped early" if trial.was_stopped else trial.status
    took = f"{(trial.ended - trial.started).total_seconds():.0f}" if trial.ended and trial.started else ""
    return (str(trial.number), *(tuning.short(trial.values.get(name, "")) for name in names), value, state, took)


def _pictures(job: str) -> tuple[str, ...]:
    """Those that `make tune` draws; none where too few jobs have an objective."""
    files = [paths().pictures / job / f"{name}.svg" for name in ("objective", "hyperparameters")]
    return tuple(_element(file.read_text(encoding="utf-8")) for file in files if file.is_file())


def _element(text: str) -> str:
    return text[text.index("<svg") :]


def seconds_of(job: Mapping[str, Any]) -> float:
    """For how long a training job ran, by DescribeTrainingJob: what AWS bills."""
    return float((job["TrainingEndTime"] - job["TrainingStartTime"]).total_seconds())

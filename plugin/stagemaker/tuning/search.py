"""Chooses the hyperparameters of each training job, and keeps what came out in a file that Optuna's tools read.

Optuna, and numpy under it, are imported when the first tuning job begins: before that LocalStack neither waits for them
nor keeps them in memory. Random is Optuna's RandomSampler; Bayesian its TPESampler, which stands for AWS's algorithm.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from stagemaker.tuning.grid import configuration, next_untried
from stagemaker.tuning.plan import BAYESIAN, GRID, Definition, TuningPlan
from stagemaker.tuning.ranges import LOGARITHMIC, REVERSE_LOGARITHMIC, Categories, Range, combinations
from stagemaker.tuning.warm_start import Observation

if TYPE_CHECKING:
    import optuna

# (ours) With fewer random beginnings and more candidates than Optuna's defaults 30 training jobs find better values, as
# `python -m benchmarks search` measures.
STARTUP_JOBS, CANDIDATES = 5, 128
MAX_REPORTED = 1000  # (ours) values of one training job that the study keeps


class Trial:
    """One configuration that was asked for. `tuned` are its values as text."""

    def __init__(self, trial: "optuna.Trial", tuned: Mapping[str, str]) -> None:
        self.trial, self.tuned = trial, tuned
        self._reported = 0

    def report(self, values: Sequence[float]) -> None:
        """All values of the objective metric so far, in their order."""
        for step in range(self._reported, min(len(values), MAX_REPORTED)):
            self.trial.report(values[step], step + 1)
        self._reported = max(self._reported, len(values))


class Search:
    """The search over the ranges of one definition, for one thread. Its study, called `name`, is in the journal file
    `path`, which several searches can share. With equal seeds and equal answers two searches ask for the same."""

    def __init__(self, path: Path, name: str, plan: TuningPlan, definition: Definition, seed: int | None) -> None:
        import optuna
        from optuna.storages.journal import JournalFileBackend

        optuna.logging.set_verbosity(optuna.logging.WARNING)
        self._optuna, self._strategy, self._ranges = optuna, plan.strategy, definition.ranges
        self._distributions = {_axis(each): _distribution(each) for each in self._ranges}
        self._combinations = combinations(self._ranges)
        self._tried: set[tuple[str, ...]] = set()
        self._study = optuna.create_study(
            study_name=name,
            storage=optuna.storages.JournalStorage(JournalFileBackend(str(path))),
            sampler=_sampler(plan.strategy, seed),
            direction="maximize" if definition.objective.maximize else "minimize",
        )
        self._study.set_user_attr("objective metric", definition.objective.metric)

    def learn(self, observations: Sequence[Observation]) -> None:
        """Configurations whose values can be compared with those of this search."""
        for each in observations:
            self._study.add_trial(
                self._optuna.trial.create_trial(
                    params=self._coordinates(each.tuned),
                    distributions=self._distributions,
                    value=each.value,
                    user_attrs={"warm start": True},
                )
            )

    def begin_with(self, tuned: Mapping[str, str]) -> None:
        """Have this configuration given out first, in the order of such calls."""
        self._study.enqueue_trial(self._coordinates(tuned), skip_if_exists=True)

    def ask(self, name: str) -> Trial | None:
        """What the training job `name` gets; None when all configurations were given out."""
        if self._combinations is not None and len(self._tried) >= self._combinations:
            return None
        if self._strategy == GRID:
            self.begin_with(configuration(self._ranges, len(self._tried)))
        trial = self._study.ask(self._distributions)
        tuned = self._texts(trial.params)
        if self._combinations is not None and tuple(tuned.values()) in self._tried:
            self._study.tell(trial, state=self._optuna.trial.TrialState.FAIL)  # nothing runs for it
            self.begin_with(next_untried(self._ranges, self._tried, tuned))
            trial = self._study.ask(self._distributions)
            tuned = self._texts(trial.params)
        self._tried.add(tuple(tuned.values()))
        trial.set_user_attr("training job", name)
        return Trial(trial, tuned)

    def tell(self, trial: Trial, value: float | None, *, stopped_early: bool) -> None:
        """The training job has ended, with this objective value or without one."""
        states = self._optuna.trial.TrialState
        if value is None:
            self._study.tell(trial.trial, state=states.FAIL)
        elif stopped_early:
            self._study.tell(trial.trial, state=states.PRUNED)  # which counts with the last value that was reported
        else:
            self._study.tell(trial.trial, value)

    def _texts(self, params: Mapping[str, Any]) -> dict[str, str]:
        return {each.name: each.text(_turned(each, params[_axis(each)])) for each in self._ranges}

    def _coordinates(self, tuned: Mapping[str, str]) -> dict[str, Any]:
        return {_axis(each): _turned(each, each.value(tuned[each.name])) for each in self._ranges}


def _sampler(strategy: str, seed: int | None) -> "optuna.samplers.BaseSampler":
    import optuna

    if strategy == BAYESIAN:
        return optuna.samplers.TPESampler(seed=seed, n_startup_trials=STARTUP_JOBS, n_ei_candidates=CANDIDATES)
    return optuna.samplers.RandomSampler(seed=seed)


def _distribution(each: Range) -> "optuna.distributions.BaseDistribution":
    from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

    if isinstance(each, Categories):
        return CategoricalDistribution(each.values)
    if each.is_integer:
        return IntDistribution(int(each.low), int(each.high), log=each.scaling == LOGARITHMIC)
    if each.scaling == REVERSE_LOGARITHMIC:
        return FloatDistribution(1 - each.high, 1 - each.low, log=True)
    return FloatDistribution(each.low, each.high, log=each.scaling == LOGARITHMIC)


def _axis(each: Range) -> str:
    """The name of the range's axis in the study. By a reverse logarithmic scale the distance from 1 is searched."""
    return f"1 - {each.name}" if each.scaling == REVERSE_LOGARITHMIC else each.name


def _turned(each: Range, value: Any) -> Any:
    """From the axis of the study to the hyperparameter, or back."""
    return 1 - value if each.scaling == REVERSE_LOGARITHMIC else value

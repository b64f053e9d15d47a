"""The search itself: by Optuna, into a study file that Optuna reads."""

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from stagemaker.core.kinds import TUNING_JOB
from stagemaker.core.refs import Ref
from stagemaker.tuning.plan import TuningPlan, tuning_plan
from stagemaker.tuning.search import Search
from stagemaker.tuning.warm_start import Observation
from tests.unit.plugin.fakes import SCOPE
from tests.unit.plugin.tuning.tuning_requests import COLOURS, NUMBERS, continuous, integer, request

MIXED = {
    **continuous("momentum", "0", "0.999", ScalingType="ReverseLogarithmic"),
    **integer("layers", "1", "300", ScalingType="Logarithmic"),
    **COLOURS,
}


def plan(strategy: str = "Random", ranges: dict[str, Any] = NUMBERS, **more: Any) -> TuningPlan:
    return tuning_plan(Ref(SCOPE, TUNING_JOB, "hpo"), request(strategy=strategy, ranges=ranges, **more))


def search(folder: Path, found: TuningPlan, seed: int | None = 1, name: str = "hpo") -> Search:
    return Search(folder / "study.journal", name, found, found.definitions[0], seed)


def asked(searching: Search, count: int) -> list[dict[str, str]]:
    """Configurations whose objective is their own rate, or 1."""
    found = []
    for number in range(count):
        trial = searching.ask(f"job-{number}")
        assert trial is not None
        searching.tell(trial, float(trial.tuned.get("rate", 1)), stopped_early=False)
        found.append(dict(trial.tuned))
    return found


@pytest.mark.parametrize("strategy", ["Random", "Bayesian"])
def test_every_value_is_within_its_range(tmp_path: Path, strategy: str) -> None:
    found = plan(strategy, MIXED)
    for tuned in asked(search(tmp_path, found), 20):
        assert list(tuned) == ["layers", "momentum", "colour"]
        assert all(each.value(tuned[each.name]) is not None for each in found.definitions[0].ranges)


@pytest.mark.parametrize("strategy", ["Random", "Bayesian"])
def test_a_seed_repeats_the_search(tmp_path: Path, strategy: str) -> None:
    found = plan(strategy, MIXED)
    runs = [asked(search(tmp_path, found, seed, name=f"n{number}"), 12) for number, seed in enumerate((7, 7, 8))]
    assert runs[0] == runs[1]
    assert runs[0] != runs[2]


def test_bayesian_search_comes_closer_than_chance(tmp_path: Path) -> None:
    ranges = continuous("rate", "0", "1", ScalingType="Linear")
    late = [asked(search(tmp_path, plan(each, ranges), name=each), 25)[15:] for each in ("Bayesian", "Random")]
    means = [sum(float(tuned["rate"]) for tuned in run) / len(run) for run in late]
    assert means[0] < means[1] / 2


@pytest.mark.parametrize("strategy", ["Random", "Bayesian"])
def test_no_configuration_comes_twice_where_they_can_be_counted(tmp_path: Path, strategy: str) -> None:
    searching = search(tmp_path, plan(strategy, {**integer("n", "1", "4"), **COLOURS}))
    found = [tuple(tuned.values()) for tuned in asked(searching, 12)]
    assert len(set(found)) == 12
    assert searching.ask("more") is None


def test_a_grid_gives_all_in_order(tmp_path: Path) -> None:
    searching = search(tmp_path, plan("Grid", COLOURS, jobs=None))
    assert [tuned["colour"] for tuned in asked(searching, 3)] == ["red", "blue", "green"]
    assert searching.ask("more") is None


def test_reverse_logarithmic_values_crowd_below_one(tmp_path: Path) -> None:
    ranges = continuous("rate", "0", "0.9999", ScalingType="ReverseLogarithmic")
    near = [tuned for tuned in asked(search(tmp_path, plan("Random", ranges)), 40) if float(tuned["rate"]) > 0.99]
    assert 15 <= len(near) <= 25, "half of the decades of 1 - x lie there"


def test_what_was_learned_leads_the_search(tmp_path: Path) -> None:
    found = plan("Bayesian")
    searching = search(tmp_path, found)
    searching.learn([Observation({"rate": str(step / 40)}, abs(step / 40 - 0.7)) for step in range(41)])
    first = asked(searching, 4)
    assert all(0.6 < float(tuned["rate"]) < 0.8 for tuned in first), first


def test_a_given_configuration_comes_first(tmp_path: Path) -> None:
    searching = search(tmp_path, plan())
    searching.begin_with({"rate": "0.125"})
    assert asked(searching, 2)[0] == {"rate": "0.125"}


def test_optuna_reads_the_study(tmp_path: Path) -> None:
    import optuna
    from optuna.storages.journal import JournalFileBackend

    searching = search(tmp_path, plan(ranges=MIXED))
    trials = [searching.ask(f"job-{number}") for number in range(4)]
    for trial in trials:
        assert trial
        trial.report([3.0, 2.0])
        trial.report([3.0, 2.0, 1.0])
    for trial, value, early in zip(trials, (1.0, 1.0, None), (False, True, False), strict=False):
        assert trial
        searching.tell(trial, value, stopped_early=early)
    storage = optuna.storages.JournalStorage(JournalFileBackend(str(tmp_path / "study.journal")))
    [summary] = optuna.get_all_study_summaries(storage)
    study = optuna.load_study(study_name=summary.study_name, storage=storage)
    assert (study.study_name, study.direction.name) == ("hpo", "MINIMIZE")
    assert study.user_attrs == {"objective metric": "loss"}
    found = study.get_trials()
    assert [trial.state.name for trial in found] == ["COMPLETE", "PRUNED", "FAIL", "RUNNING"]
    assert [trial.user_attrs["training job"] for trial in found] == [f"job-{number}" for number in range(4)]
    assert found[0].intermediate_values == {1: 3.0, 2: 2.0, 3: 1.0}
    assert sorted(found[0].params) == ["1 - momentum", "colour", "layers"]


def test_optuna_is_not_imported_before_the_first_tuning_job() -> None:
    """LocalStack must not start later, nor be larger, for what most of its runs do not use."""
    said = "import sys, stagemaker.app; print(sorted({'optuna', 'numpy', 'sqlalchemy'} & sys.modules.keys()))"
    done = subprocess.run([sys.executable, "-c", said], capture_output=True, text=True, check=True, timeout=120)
    assert done.stdout.strip() == "[]"

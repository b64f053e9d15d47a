"""The search for hyperparameters as `make tune` runs it, and a training with what it found."""

import re
from pathlib import Path

from tests.e2e.environment import Environment, leftovers

ONE_EPOCH = "--set=epochs=1"


def test_a_search_is_drawn_and_its_best_trained_with(environment: Environment, tmp_path: Path) -> None:
    code, output = environment.run("start")
    assert code == 0, output
    code, output = environment.run("tune", ONE_EPOCH, JOBS="3", PARALLEL="1")
    assert code == 0, output
    assert "(best)" in output
    assert len(re.findall(r"│ (?:Completed|Stopped early) +│", output)) == 3, output
    (folder,) = environment.paths.pictures.iterdir()
    assert {path.name for path in folder.iterdir()} == {"objective.svg", "hyperparameters.svg", "importance.svg"}
    best = next(line for line in output.splitlines() if "Best of 3 training jobs" in line)
    code, again = environment.run("tune", ONE_EPOCH, JOBS="3", PARALLEL="1")
    assert code == 0, again
    assert "unchanged: stagemaker-demo-" in again
    code, output = environment.run("train", ONE_EPOCH, BEST="1")
    assert code == 0, output
    assert best.partition("with ")[2] in output
    code, output = environment.run("destroy")
    assert code == 0, output
    assert "deleted: tuning job" in output
    code, output = environment.run("stop")
    assert code == 0, output
    assert leftovers(tmp_path) == []

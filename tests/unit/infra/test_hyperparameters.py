"""Hyperparameters that the trainer refuses are refused before anything is sent."""

from dataclasses import replace
from pathlib import Path

import pytest

from infra import hyperparameters, presets
from infra.errors import StepFailed
from infra.settings import DeploymentSettings, Ranges, TuningSettings


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"epoch": "5"}, "Unknown hyperparameter 'epoch': did you mean 'epochs'?"),
        ({"epochs": "many"}, "'epochs' must be a whole number from 1 to 10000, or 0, not 'many'."),
        ({"fine-tune": "full", "features-only": "true"}, "'features-only' is for fine-tune=head"),
    ],
)
def test_a_hyperparameter_that_the_trainer_refuses_is_named(given: dict[str, str], said: str) -> None:
    with pytest.raises(StepFailed) as refused:
        hyperparameters.check(DeploymentSettings(hyperparameters=given))
    assert said in refused.value.reason


@pytest.mark.parametrize(
    ("ranges", "said"),
    [
        (Ranges({"learnrate": ("0.001", "0.1")}, {}), "did you mean 'learning-rate'?"),
        (Ranges({"learning-rate": ("0.001", "11")}, {}), "must be a number from 0.0 to 10.0, not '11'"),
        (Ranges({}, {"batch-size": ("32", "1")}), "'batch-size' must be a whole number"),
    ],
)
def test_what_a_search_would_try_in_vain_is_named(ranges: Ranges, said: str) -> None:
    with pytest.raises(StepFailed) as refused:
        hyperparameters.check(DeploymentSettings(tuning=TuningSettings(ranges=ranges)))
    assert said in refused.value.reason


@pytest.mark.parametrize("path", sorted(presets.FOLDER.glob("*.toml")), ids=lambda path: path.stem)
def test_the_trainer_takes_what_every_preset_has(path: Path) -> None:
    settings = presets.read(path)
    hyperparameters.check(settings)
    hyperparameters.check(replace(settings, hyperparameters={**hyperparameters.DRAWINGS, **settings.hyperparameters}))


@pytest.mark.parametrize("ranges", [hyperparameters.PHOTO_RANGES, hyperparameters.DRAWING_RANGES])
def test_the_trainer_takes_what_suits_the_data(ranges: Ranges) -> None:
    hyperparameters.check(DeploymentSettings(tuning=TuningSettings(ranges=ranges)))

"""Every hyperparameter is checked, and the message says what to write instead."""

import subprocess
import sys
from dataclasses import FrozenInstanceError, fields
from typing import Any

import pytest

from ml.config import Config, ConfigError, describe


def test_what_is_0_follows_the_kind_of_fine_tuning() -> None:
    head, full = Config.from_hyperparameters({}), Config.from_hyperparameters({"fine-tune": "full"})
    assert (head.learning_rate, head.epochs, head.batch_size) == (0.003, 30, 64)
    assert (full.learning_rate, full.epochs, full.batch_size) == (0.0001, 12, 32)
    asked = Config.from_hyperparameters({"fine-tune": "full", "epochs": "0", "batch-size": "64"})
    assert (asked.epochs, asked.batch_size) == (12, 64)
    assert Config.from_hyperparameters({"fine-tune": "full", "learning-rate": "0.1"}).learning_rate == 0.1


def test_the_type_itself_resolves_the_learning_rate() -> None:
    assert Config().learning_rate == 0.003
    assert Config(fine_tune="full").learning_rate == 0.0001
    assert Config(learning_rate=0.1).learning_rate == 0.1
    assert Config.from_hyperparameters({}) == Config()
    assert Config.from_hyperparameters({"learning-rate": "0"}) == Config()
    assert Config().to_hyperparameters()["learning-rate"] == "0.003"


def test_values_become_typed() -> None:
    config = Config.from_hyperparameters({"epochs": "7", "flip": "False", "weight-decay": "1e-4", "amp": "1"})
    assert (config.epochs, config.flip, config.weight_decay, config.amp) == (7, False, 1e-4, True)
    with pytest.raises(FrozenInstanceError):
        config.epochs = 8  # type: ignore[misc]


def test_a_json_string_of_the_sdk_is_read() -> None:
    assert Config.from_hyperparameters({"backbone": '"resnet50"', "epochs": '"3"'}).backbone == "resnet50"


def test_hyperparameters_of_sagemaker_are_passed_over() -> None:
    extra = {"_tuning_objective_metric": "valid_accuracy", "sagemaker_program": "train.py"}
    assert Config.from_hyperparameters(extra) == Config.from_hyperparameters({})


def test_round_trip() -> None:
    config = Config.from_hyperparameters({"backbone": "resnet50", "flip": "false", "learning-rate": "0.00017"})
    assert Config.from_hyperparameters(config.to_hyperparameters()) == config


@pytest.mark.parametrize(
    ("name", "near"),
    [
        ("learning_rate", "learning-rate"),
        ("epoch", "epochs"),
        ("Batch-Size", "batch-size"),
        ("fine-tuning", "fine-tune"),
    ],
)
def test_a_misspelt_name_suggests_the_nearest_name(name: str, near: str) -> None:
    with pytest.raises(ConfigError, match=f"Unknown hyperparameter '{name}': did you mean '{near}'"):
        Config.from_hyperparameters({name: "1"})


def test_a_name_without_a_near_match_lists_the_known_names() -> None:
    with pytest.raises(ConfigError, match="known are backbone, weights"):
        Config.from_hyperparameters({"zzz": "1"})


@pytest.mark.parametrize(
    ("name", "value", "accepted"),
    [
        ("epochs", "10001", "a whole number from 1 to 10000, or 0"),
        ("epochs", "-1", "a whole number from 1 to 10000"),
        ("epochs", "many", "a whole number"),
        ("epochs", "2.5", "a whole number"),
        ("epochs", "", "a whole number"),
        ("batch-size", "1", "a whole number from 2 to 4096, or 0"),
        ("learning-rate", "nan", "a number from 0.0 to 10.0"),
        ("learning-rate", "0_1.0", "a number from 0.0 to 10.0"),
        ("epochs", "1_0", "a whole number from 1 to 10000"),
        ("epochs", "\u0661\u0662", "a whole number from 1 to 10000"),
        ("learning-rate", "-1", "a number"),
        ("weight-decay", "inf", "a number"),
        ("flip", "yes", "true or false"),
        ("backbone", "resnet18", "one of efficientnet-lite0, resnet50, mobilenet_v3_large"),
        ("fine-tune", '"', "one of head, full"),
        ("fine-tune", '"a\\"', "one of head, full"),
    ],
)
def test_a_value_out_of_range_is_refused(name: str, value: str, accepted: str) -> None:
    with pytest.raises(ConfigError, match=f"'{name}' must be {accepted}"):
        Config.from_hyperparameters({name: value})


@pytest.mark.parametrize("value", [3, None, ["1"], True])
def test_a_value_that_is_not_a_string_is_refused(value: Any) -> None:
    with pytest.raises(ConfigError, match="'epochs' must be a string"):
        Config.from_hyperparameters({"epochs": value})


def test_describe_has_every_key() -> None:
    assert len(describe()) == len(fields(Config))
    assert ("fine-tune", "head", "one of head, full") in describe()


def test_quick_checks_need_no_torch() -> None:
    code = "import sys, ml.config, ml.data, ml.evaluate; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0

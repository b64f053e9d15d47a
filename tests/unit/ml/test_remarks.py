"""Each thing that is wrong with a training is said, also by a real training, and nothing of one that goes well."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from ml.config import Config
from ml.context import Paths
from ml.data import scan
from ml.remarks import Seen, remarks
from ml.train import train
from tests.unit.ml.data import write_dataset
from tests.unit.ml.stops import never


def history(train: Sequence[float], valid: Sequence[float]) -> list[dict[str, float]]:
    return [{"train_loss": t, "valid_loss": v, "valid_accuracy": 0.5} for t, v in zip(train, valid, strict=True)]


GOOD = history([2.0, 1.0, 0.5, 0.3], [1.9, 1.1, 0.8, 0.7])


def test_nothing_is_said_of_a_training_that_goes_well() -> None:
    assert remarks(Seen(GOOD, 8, (), 0.1)) == {}
    assert remarks(Seen(GOOD[:1], 8, ("red", "blue"), 0.1)) == {}  # it has only begun


@pytest.mark.parametrize(("before", "last"), [(0.002, 0.001), (71.9, 8.4)])
def test_no_gradient_in_one_batch_is_no_remark_while_the_loss_falls_or_nothing_is_left_to_learn(
    before: float, last: float
) -> None:
    assert "vanished" not in remarks(Seen(history([before, last], [1.0, 1.0]), 3, (), 0.0))


@pytest.mark.parametrize(
    ("seen", "name", "sentence"),
    [
        (Seen(history([1.1, 1.1], [1.1, 1.1]), 3, (), 0.0), "vanished", "The gradients have vanished"),
        (Seen(history([1.0, 2.5], [1.0, 1.0]), 8, (), 1.0), "diverging", "has grown from 1.000 to 2.500"),
        (
            Seen(history([17.5], [1.0]), 3, (), 1.0),
            "diverging",
            "guessing among 3 classes is 1.099",
        ),
        (Seen(history([2, 1, 0.5, 0.1], [1, 1.1, 1.2, 1.3]), 8, (), 1.0), "by heart", "has risen for 3 epochs (1.300)"),
        (Seen(GOOD, 8, ("red",), 1.0), "missing", "No validation photo is predicted as 'red'."),
        (Seen(GOOD, 8, tuple("abcde"), 1.0), "missing", "predicted as 'a', 'b', 'c' and 2 more."),
    ],
)
def test_what_is_wrong_is_said(seen: Seen, name: str, sentence: str) -> None:
    found = remarks(seen)
    assert found.keys() == {name}
    assert sentence in found[name]


def test_validation_may_rise_a_little_while_training_is_not_far_below() -> None:
    assert remarks(Seen(history([1.0, 0.9, 0.8, 0.7], [0.9, 0.95, 1.0, 1.1]), 8, (), 1.0)) == {}


def test_validation_that_stays_the_same_is_no_remark() -> None:
    """These are of `dogs` with the defaults, which goes well."""
    assert remarks(Seen(history([0.0171, 0.015, 0.0134, 0.0122], [0.2855, 0.2856, 0.2861, 0.2864]), 25, (), 1.0)) == {}


HEAD = Config(
    weights="none", image_size=32, epochs=10, batch_size=24, learning_rate=0.03, feature_engine="torch-f32",
    measure_precisions=False,
)  # fmt: skip


@pytest.mark.parametrize(
    ("config", "said"),
    [
        # The features of a random MobileNetV3 are all but zero.
        (replace(HEAD, backbone="mobilenet_v3_large", epochs=5), ["The gradients have vanished"]),
        (replace(HEAD, learning_rate=10.0, epochs=2), ["The training loss has grown from"]),
        (HEAD, ["No validation photo is predicted as", "the model learns its training photos by heart"]),
    ],
)
def test_a_real_training_says_what_is_wrong(config: Config, said: list[str], tmp_path: Path) -> None:
    """Its validation photos of two classes are in each other's folder."""
    data = write_dataset(tmp_path / "data")
    for new, old in (("other", "red"), ("red", "blue"), ("blue", "other")):
        (data / "valid" / old).rename(data / "valid" / new)
    lines: list[str] = []
    paths = Paths(data, tmp_path / "model", tmp_path / "output", tmp_path / "checkpoints")
    train(config, scan(data), paths, never, lines.append)
    for text in said:
        [line] = [line for line in lines if text in line]
        assert line.startswith("remark after_epoch=")

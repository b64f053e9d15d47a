"""A model card is read as it was written, and a card that cannot be used is refused with the reason."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from ml.artifact import CARD_FILE, ONNX_FILE, BadArtifact, ModelCard, read_card
from ml.preprocess import Preprocessing

CARD = ModelCard(
    classes=("001.Affenpinscher", "002.Afghan_hound"),
    backbone="efficientnet-lite0",
    preprocessing=Preprocessing(224, 256, "bicubic", (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)),
    metrics={"valid_accuracy": 0.95},
    versions={"torch": "2.15"},
    data_digest="sha256:00",
    hyperparameters={"epochs": 3},
    weights={"source": "package"},
)


def test_round_trip() -> None:
    assert ModelCard.from_json(CARD.to_json()) == CARD


def test_a_precision_counts_when_its_accuracy_was_measured() -> None:
    precisions: dict[str, object] = {
        "bf16": {"differing_share": 0.01},
        "int8": {"differing_share": 0.011},
        "f16": "It was not measured.",
        "f8": {"accuracy": 1.0},
        "f4": {"differing_share": "none"},
    }
    card = replace(CARD, metrics={"precisions": precisions})
    assert card.measured_precisions == {"bf16": 0.01, "int8": 0.011, "f32": 0.0}
    assert card.default_precisions == ("bf16", "f32")


@pytest.mark.parametrize(
    "found", [None, [], "bf16", {"f32": {"differing_share": 0.5}}, {"bf16": {"differing_share": -1}}]
)
def test_a_card_without_measured_precisions_is_served_in_f32(found: object) -> None:
    card = replace(CARD, metrics={"precisions": found} if found else {})
    assert card.measured_precisions == {"f32": 0.0}
    assert card.default_precisions == ("f32",)


def test_read_card(tmp_path: Path) -> None:
    (tmp_path / CARD_FILE).write_text(CARD.to_json())
    (tmp_path / ONNX_FILE).write_bytes(b"graph")
    assert read_card(tmp_path) == CARD


@pytest.mark.parametrize("missing", [CARD_FILE, ONNX_FILE])
def test_a_missing_file_is_named(tmp_path: Path, missing: str) -> None:
    (tmp_path / CARD_FILE).write_text(CARD.to_json())
    (tmp_path / ONNX_FILE).write_bytes(b"graph")
    (tmp_path / missing).unlink()
    with pytest.raises(BadArtifact, match=f"has no {missing}"):
        read_card(tmp_path)


def test_a_card_that_is_not_utf8_is_refused(tmp_path: Path) -> None:
    (tmp_path / CARD_FILE).write_bytes(b"\xff\xfe\x00")
    (tmp_path / ONNX_FILE).write_bytes(b"graph")
    with pytest.raises(BadArtifact, match="UTF-8"):
        read_card(tmp_path)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"classes": []}, "at least one class"),
        ({"classes": ["a", "a"]}, "differ"),
        ({"classes": ["a", 5]}, "non-empty string"),
        ({"classes": "ab"}, "must be a list"),
        ({"backbone": 5}, "backbone"),
        ({"metrics": []}, "metrics"),
        ({"preprocessing": {"size": 1}}, "Preprocessing needs the keys"),
        ({"preprocessing": []}, "preprocessing an object"),
        ({"format": "stagemaker-model/9"}, "format"),
        ({"extra": 1}, "unknown keys: extra"),
    ],
)
def test_a_bad_card_is_refused(change: dict[str, object], says: str) -> None:
    with pytest.raises(BadArtifact, match=says):
        ModelCard.from_json(json.dumps(json.loads(CARD.to_json()) | change))


@pytest.mark.parametrize(("text", "says"), [("{", "not JSON"), ("[]", "must be a JSON object"), ("{}", "format")])
def test_text_that_is_not_a_card_is_refused(text: str, says: str) -> None:
    with pytest.raises(BadArtifact, match=says):
        ModelCard.from_json(text)


def test_a_missing_key_is_named() -> None:
    values = json.loads(CARD.to_json())
    del values["weights"], values["classes"]
    with pytest.raises(BadArtifact, match="lacks classes, weights"):
        ModelCard.from_json(json.dumps(values))


def test_a_value_that_is_not_finite_is_not_written() -> None:
    card = ModelCard.from_json(CARD.to_json().replace("0.95", "NaN"))
    with pytest.raises(ValueError, match="JSON compliant"):
        card.to_json()

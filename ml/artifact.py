"""Reads a model artifact: the folder that `model.tar.gz` unpacks to, and the card that describes the model in it.

The reader is apart from the writer (ml.export) so that serving needs neither torch nor safetensors. No file of an
artifact can hold code: weights are safetensors, the graph is ONNX, the card is JSON.

ONNX contract: input `images` float32 (N, 3, size, size) with N free, output `logits` float32 (N, number of classes).
"""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

from ml.preprocess import Preprocessing

WEIGHTS_FILE = "model.safetensors"
ONNX_FILE = "model.onnx"
INT8_FILE = "model.int8.onnx"  # the same network with 8-bit weights and activations; most artifacts lack it
CARD_FILE = "model.json"
MODEL_FILES = (WEIGHTS_FILE, ONNX_FILE, CARD_FILE)
ONNX_INPUT, ONNX_OUTPUT = "images", "logits"
BASE_PRECISION = "f32"  # that of the training; every artifact can be served in it
MAX_DIFFERING_SHARE = 0.01  # (ours) of the validation photos; a precision that changes more is no default
FORMAT = "stagemaker-model/1"  # raise the number when an older reader would misread the new form


class BadArtifact(ValueError):
    """The artifact cannot be used; the message is one clear sentence that names the file or key."""


@dataclass(frozen=True)
class ModelCard:
    """Describes a model: enough to serve it, to judge it and to train it again.

    `classes` are in the order of the logits. `metrics` are measured values by name, `versions` the packages that made
    the model, `data_digest` the digest of the training data, `weights` the origin of the starting weights.

    `metrics["precisions"]`, which older cards lack, has for each lower precision what it changes on the validation
    photos: `accuracy`, `accuracy_drop`, `differing_share` (of the photos whose top class is another than in f32) and
    `photos`; or a sentence that says why it was not measured.
    """

    classes: tuple[str, ...]
    backbone: str
    preprocessing: Preprocessing
    metrics: dict[str, Any]
    versions: dict[str, Any]
    data_digest: str
    hyperparameters: dict[str, Any]
    weights: dict[str, Any]

    def __post_init__(self) -> None:
        if not self.classes or not all(isinstance(name, str) and name for name in self.classes):
            raise BadArtifact("A model card needs at least one class, each a non-empty string.")
        if len(set(self.classes)) != len(self.classes):
            raise BadArtifact("A model card's classes must differ from one another.")
        for name in ("backbone", "data_digest"):
            if not isinstance(getattr(self, name), str):
                raise BadArtifact(f"A model card's {name} must be a string.")
        for name in ("metrics", "versions", "hyperparameters", "weights"):
            if not isinstance(getattr(self, name), Mapping):
                raise BadArtifact(f"A model card's {name} must be an object.")

    @property
    def measured_precisions(self) -> dict[str, float]:
        """The precisions of which the accuracy is known, each with its share of photos whose top class differs."""
        found = self.metrics.get("precisions")
        entries = found.items() if isinstance(found, Mapping) else ()
        shares = {name: entry.get("differing_share") for name, entry in entries if isinstance(entry, Mapping)}
        known = {name: share for name, share in shares.items() if isinstance(share, float | int) and share >= 0}
        return known | {BASE_PRECISION: 0.0}

    @property
    def default_precisions(self) -> tuple[str, ...]:
        """The precisions that may be chosen where nobody names one."""
        return tuple(name for name, share in self.measured_precisions.items() if share <= MAX_DIFFERING_SHARE)

    def to_json(self) -> str:
        """The card as indented JSON text. ValueError where a value is not finite or not JSON."""
        values = asdict(self) | {"classes": list(self.classes), "preprocessing": self.preprocessing.to_dict()}
        return json.dumps({"format": FORMAT} | values, indent=2, allow_nan=False) + "\n"

    @classmethod
    def from_json(cls, text: str) -> "ModelCard":
        """The inverse of to_json. Raises BadArtifact with what is wrong."""
        values = _object(text)
        names = {field.name for field in fields(cls)}
        if missing := sorted(names - set(values)):
            raise BadArtifact(f"The model card lacks {', '.join(missing)}.")
        if unknown := sorted(set(values) - names):
            raise BadArtifact(f"The model card has unknown keys: {', '.join(unknown)}.")
        if not isinstance(values["classes"], list) or not isinstance(values["preprocessing"], dict):
            raise BadArtifact("The model card's classes must be a list and its preprocessing an object.")
        try:
            preprocessing = Preprocessing.from_dict(values["preprocessing"])
        except ValueError as error:
            raise BadArtifact(f"The model card cannot be used: {error}") from error
        return cls(**values | {"classes": tuple(values["classes"]), "preprocessing": preprocessing})


def read_card(folder: Path) -> ModelCard:
    """The card of the artifact in `folder`, whose ONNX file must be there too. Raises BadArtifact."""
    for name in (CARD_FILE, ONNX_FILE):
        if not (folder / name).is_file():
            raise BadArtifact(f"The model folder {folder} has no {name}; it must hold {', '.join(MODEL_FILES)}.")
    try:
        text = (folder / CARD_FILE).read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise BadArtifact(f"{CARD_FILE} is not UTF-8 text.") from error
    return ModelCard.from_json(text)


def _object(text: str) -> dict[str, Any]:
    try:
        values = json.loads(text)
    except json.JSONDecodeError as error:
        raise BadArtifact(f"The model card is not JSON: {error}.") from error
    if not isinstance(values, dict):
        raise BadArtifact("The model card must be a JSON object.")
    if (found := values.pop("format", None)) != FORMAT:
        raise BadArtifact(f"The model card's format is {found!r}; this version reads {FORMAT!r}.")
    return values

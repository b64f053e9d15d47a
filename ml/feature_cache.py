"""Keeps features on disk, so that a resumed job and the jobs of a search need not compute them again.

One safetensors file holds the features, and in its header what they were computed from and a digest of each tensor.
A file that is broken, or of other photos, weights or preprocessing, is not used, and the job says so: it then computes
what it needs. Beside the file may lie the classifier's graph, which saves its export too.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ml import tensor_file
from ml.artifact import ONNX_FILE
from ml.config import Config
from ml.data import Dataset
from ml.features import FeatureEngine, Features, mirrored
from ml.model import Classifier, preprocessing
from ml.photo_list import FILE, described
from ml.photos import BadImage, Verdict, Verdicts

FORMAT = "stagemaker-features/2"
_SAMPLES = "samples"  # the tensor of sample images


class _NotUsable(Exception):
    """The file cannot be used; the message is the end of a sentence that says why."""


@dataclass(frozen=True)
class Cached:
    """Features from a file, the verdicts on the photos that they were computed from, sample images (n, 3, S, S) of
    these, and the graph beside the file, if there is one."""

    features: Features
    verdicts: Verdicts
    samples: Tensor
    graph: Path | None


def identity(config: Config, dataset: Dataset, model: Classifier) -> dict[str, str]:
    """What features depend on: all photos of the channels, before any is left out; the backbone's weights; and how a
    photo becomes the network's input."""
    weights = hashlib.sha256()
    for name, value in sorted(model.body.state_dict().items()):
        weights.update(name.encode() + value.contiguous().numpy().tobytes())
    return {
        "photos": dataset.digest,
        "backbone": config.backbone,
        "weights": weights.hexdigest(),
        "preprocessing": json.dumps(preprocessing(config).to_dict()),
        "flip": str(config.flip),
    }


def save(folder: Path, cached: Cached, dataset: Dataset, of: Mapping[str, str]) -> None:
    """Replaces the file in `folder` in one step; `of` is the identity. A graph is copied beside it."""
    folder.mkdir(parents=True, exist_ok=True)
    tensors = {**cached.features.tensors, _SAMPLES: cached.samples}
    content = {
        "identity": dict(of),
        "origin": dict(cached.features.origin),
        "digests": {name: _digest(rows) for name, rows in tensors.items()},
        "left_out": {key: str(error) for key, error in cached.verdicts.left_out.items()},
        "cut_short": cached.verdicts.cut_short,
        "dataset": described(dataset),
    }
    if cached.graph:
        data = cached.graph.read_bytes()
        content["graph"] = hashlib.sha256(data).hexdigest()
        (folder / ONNX_FILE).write_bytes(data)
    tensor_file.write(folder / FILE, tensors, {"format": FORMAT, "content": json.dumps(content)})


def load(folder: Path, of: Mapping[str, str], dataset: Dataset, setting: str) -> Cached | str:
    """The features in `folder` if they are those of the identity `of`, with a row for each photo of the `dataset`, by
    an engine that the hyperparameter `feature-engine` allows; else a sentence that says why they are not used, which is
    empty when there is no file."""
    path = folder / FILE
    if not path.is_file():
        return ""
    try:
        return _load(path, of, dataset, setting)
    except _NotUsable as reason:
        return f"{path.parent.name}/{FILE} is not used: {reason}"


def _load(path: Path, of: Mapping[str, str], dataset: Dataset, setting: str) -> Cached:
    try:
        header, tensors = tensor_file.read(path)
    except tensor_file.BrokenFile as error:
        raise _NotUsable(f"it is broken ({error}).") from error
    if header.get("format") != FORMAT:
        raise _NotUsable(f"its format is {header.get('format')!r}, not {FORMAT!r}.")
    content = _content(header)
    if different := [name for name in of if content["identity"].get(name) != of[name]]:
        raise _NotUsable(f"it was computed from other {different[0]}.")
    if {name: _digest(rows) for name, rows in tensors.items()} != content["digests"]:
        raise _NotUsable("it is broken (a digest is wrong).")
    if (samples := tensors.pop(_SAMPLES, None)) is None:
        raise _NotUsable("it has no sample images.")
    features = Features(tensors, content["origin"])
    if setting not in ("auto", str(features.engine)):
        raise _NotUsable(f"it was computed by {features.engine}, not by {setting}.")
    verdicts = _verdicts(dataset, content)
    _check_rows(features, verdicts, dataset)
    return Cached(features, verdicts, samples, _graph(path.parent, content))


def _content(header: Mapping[str, str]) -> dict[str, Any]:
    try:
        content: dict[str, Any] = json.loads(header["content"])
        for name in ("identity", "origin", "digests", "left_out"):
            if not isinstance(content[name], dict):
                raise _NotUsable(f"its {name} is not an object.")
        if not isinstance(content["cut_short"], list):
            raise _NotUsable("its cut_short is not a list.")
        FeatureEngine(content["origin"]["engine"], content["origin"]["precision"])
    except (KeyError, ValueError, TypeError) as error:
        raise _NotUsable(f"its header is broken ({error}).") from error
    return content


def _verdicts(dataset: Dataset, content: Mapping[str, Any]) -> Verdicts:
    left_out, cut_short = content["left_out"], set(content["cut_short"])
    return Verdicts(
        {
            key: Verdict(BadImage(str(left_out[key])) if key in left_out else None, key in cut_short)
            for key in dataset.keys()  # noqa: SIM118 - a dataset is not a dict
        }
    )


def _check_rows(features: Features, verdicts: Verdicts, dataset: Dataset) -> None:
    for name in dataset.splits:
        keys = [key for key in verdicts.by_key if key.startswith(f"{name}/")]
        count = len([key for key in keys if key not in verdicts.left_out])
        views = [view for view in (name, mirrored(name)) if view in features.tensors]
        if not views or any(features.tensors[view].shape[0] != count for view in views):
            raise _NotUsable(f"it has not one row for each photo of {name}.")
        if any(features.tensors[view].dtype != torch.float32 for view in views):
            raise _NotUsable("its values are not float32.")


def _graph(folder: Path, content: Mapping[str, Any]) -> Path | None:
    path = folder / ONNX_FILE
    if not path.is_file() or hashlib.sha256(path.read_bytes()).hexdigest() != content.get("graph"):
        return None
    return path


def digest(features: Features) -> str:
    """SHA-256 over all features."""
    return hashlib.sha256("".join(_digest(rows) for rows in features.tensors.values()).encode()).hexdigest()


def _digest(rows: Tensor) -> str:
    return hashlib.sha256(rows.contiguous().numpy().tobytes()).hexdigest()

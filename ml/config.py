"""A training job's hyperparameters: turns SageMaker's strings into one frozen and checked value.

It imports no torch, so that a misspelt name fails the job within a second.
"""

import difflib
import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any

from ml.errors import JobError

MAX_UNUSABLE_SHARE = 0.05  # of a data set's photos
BACKBONES = ("efficientnet-lite0", "resnet50", "mobilenet_v3_large")
# SageMaker's tuning jobs and SDKs add these names; they are passed over.
_SERVICE_PREFIXES = ("sagemaker_", "_tuning_objective_metric")
# What 0 stands for, by the kind of fine-tuning. Those of "full" are measured in docs/decisions/0022.
DEFAULTS: Mapping[str, Mapping[str, Any]] = {
    "head": {"learning_rate": 0.003, "epochs": 30, "batch_size": 64},
    "full": {"learning_rate": 0.0001, "epochs": 12, "batch_size": 32},
}


class ConfigError(JobError):
    """A hyperparameter cannot be used; the message is one clear sentence that names it."""


def _choice(default: str, *choices: str) -> Any:
    return field(default=default, metadata={"choices": choices})


def _number(default: float, low: float, high: float) -> Any:
    return field(default=default, metadata={"low": low, "high": high})


def _by_kind(default: float, low: float, high: float) -> Any:
    """A number of which 0, the `default`, becomes that of the kind of fine-tuning."""
    return field(default=default, metadata={"low": low, "high": high, "zero": True})


@dataclass(frozen=True)
class Config:
    """What to train and how. A hyperparameter is a field's name with hyphens, for example `batch-size`.

    `fine_tune` "head" trains a linear layer on the frozen backbone's features; "full" trains every weight. `crop` is
    the share of the short side that the centre crop keeps. `min_crop` is the smallest share of the area that a random
    crop of "full" takes. `flip` adds mirrored pictures. `class_weights` "balanced" makes all classes count alike,
    whatever their number of photos. `mixup` is the alpha of mixup, which trains on weighted means of two examples each;
    0 is off. `patience` is the number of epochs without a better validation before training
    stops. `amp` is mixed precision, on CUDA only. `max_unusable_share` is the share of all photos that may be left out
    because they cannot be decoded; above it the job fails. In `epochs`, `batch_size` and `learning_rate` 0 becomes the
    default of the kind of fine-tuning when the config is made. With "full" `learning_rate` is the backbone's, and the
    head, which begins at zero, learns `head_rate` times as fast, and batch norm uses the means and variances of the
    pretrained weights, or of each batch with `norm_statistics` "batch". Where the backbone begins at random too
    (`weights` "none"), both learn alike, and batch norm uses those of each batch. `feature_engine` computes
    the features for "head", and `features_only` ends the job when it has: they are its model, for a channel `features`.
    `measure_precisions` finds out for the model card what bf16 changes; with `int8` it also adds a graph with 8-bit
    numbers to the model, and finds out what that changes. `profile` writes where the time went, and a trace.
    """

    backbone: str = _choice("efficientnet-lite0", *BACKBONES)
    weights: str = _choice("imagenet", "imagenet", "none")
    fine_tune: str = _choice("head", "head", "full")
    image_size: int = _number(224, 32, 1024)
    crop: float = _number(0.875, 0.5, 1.0)
    min_crop: float = _number(0.5, 0.05, 1.0)
    flip: bool = True
    epochs: int = _by_kind(0, 1, 10_000)
    batch_size: int = _by_kind(0, 2, 4096)
    learning_rate: float = _number(0.0, 0.0, 10.0)
    head_rate: float = _number(100.0, 0.1, 1000.0)
    norm_statistics: str = _choice("pretrained", "pretrained", "batch")
    weight_decay: float = _number(0.01, 0.0, 1.0)
    label_smoothing: float = _number(0.0, 0.0, 0.5)
    mixup: float = _number(0.0, 0.0, 10.0)
    class_weights: str = _choice("none", "none", "balanced")
    patience: int = _number(10, 1, 10_000)
    seed: int = _number(0, 0, 2**31 - 1)
    amp: bool = True
    max_unusable_share: float = _number(MAX_UNUSABLE_SHARE, 0.0, 1.0)
    feature_engine: str = _choice("auto", "auto", "openvino-f32", "openvino-bf16", "torch-f32")
    features_only: bool = False
    measure_precisions: bool = True
    int8: bool = True
    profile: bool = False

    def __post_init__(self) -> None:
        for name, value in DEFAULTS[self.fine_tune].items():
            if getattr(self, name) == 0:
                object.__setattr__(self, name, value)
        if self.features_only and self.fine_tune != "head":
            raise ConfigError("Hyperparameter 'features-only' is for fine-tune=head: nothing else trains on features.")

    @classmethod
    def from_hyperparameters(cls, hyperparameters: Mapping[str, Any]) -> "Config":
        """The config for the content of hyperparameters.json. Raises ConfigError, which names what is wrong first."""
        known = {spec.name.replace("_", "-"): spec for spec in fields(cls)}
        values: dict[str, Any] = {}
        for name, text in hyperparameters.items():
            if name.startswith(_SERVICE_PREFIXES):
                continue
            if name not in known:
                raise ConfigError(_unknown(name, list(known)))
            spec = known[name]
            values[spec.name] = _parse(name, text, spec.type, spec.metadata)
        return cls(**values)

    def to_hyperparameters(self) -> dict[str, str]:
        """Every hyperparameter as a string; from_hyperparameters makes an equal config of them."""
        return {spec.name.replace("_", "-"): _text(getattr(self, spec.name)) for spec in fields(self)}


def describe() -> list[tuple[str, str, str]]:
    """(name, default, accepted values) of every hyperparameter, for documents and help."""
    return [
        (spec.name.replace("_", "-"), _text(spec.default), _accepted(spec.type, spec.metadata))
        for spec in fields(Config)
    ]


def _unknown(name: str, known: list[str]) -> str:
    near = difflib.get_close_matches(name.lower().replace("_", "-"), known, n=1)
    hint = f"did you mean '{near[0]}'?" if near else f"known are {', '.join(known)}."
    return f"Unknown hyperparameter '{name}': {hint}"


def _parse(name: str, text: Any, kind: Any, limits: Mapping[str, Any]) -> Any:
    if not isinstance(text, str):
        raise ConfigError(f"Hyperparameter '{name}' must be a string, as SageMaker passes it, not {text!r}.")
    try:
        value = _convert(_unquoted(text.strip()), kind)
    except ValueError:
        value = None
    if value is None or not _within(value, limits):
        raise ConfigError(f"Hyperparameter '{name}' must be {_accepted(kind, limits)}, not '{text}'.")
    return value


def _within(value: Any, limits: Mapping[str, Any]) -> bool:
    if "choices" in limits:
        return value in limits["choices"]
    return (value == 0 and "zero" in limits) or bool(limits.get("low", value) <= value <= limits.get("high", value))


def _convert(text: str, kind: Any) -> Any:
    if kind is bool:
        return {"true": True, "1": True, "false": False, "0": False}.get(text.lower())
    if kind in (int, float) and ("_" in text or not text.isascii()):  # Python reads 1_000 and other digits than 0 to 9
        raise ValueError(text)
    if kind is float and not math.isfinite(float(text)):
        raise ValueError(text)
    return kind(text)


def _unquoted(text: str) -> str:
    """SageMaker's SDKs send JSON: a string value arrives with its quotation marks."""
    if len(text) >= 2 and text[0] == text[-1] == '"':
        return str(json.loads(text))
    return text


def _accepted(kind: Any, limits: Mapping[str, Any]) -> str:
    if kind is bool:
        return "true or false"
    if "choices" in limits:
        return "one of " + ", ".join(limits["choices"])
    noun = "a whole number" if kind is int else "a number"
    zero = ", or 0" if "zero" in limits else ""
    return f"{noun} from {limits['low']} to {limits['high']}{zero}"


def _text(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)

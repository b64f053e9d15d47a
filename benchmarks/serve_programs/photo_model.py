"""What every peer of the benchmark runs: the network in PyTorch with random weights, and the usual transforms.

The peers are programs that are started by their path, so that they import this module from their own folder.
"""

import io

import torch
from PIL import Image
from torchvision import transforms

WORKERS = 2  # processes of one thread each: the best of two cores for every peer that was measured
_CLASSES = 133
_TRANSFORM = transforms.Compose(
    [
        transforms.Resize(256),
        transforms.CenterCrop(224),
        transforms.ToTensor(),
        transforms.Normalize((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)),
    ]
)


class PhotoModel:
    """A network with a head of 133 classes, which computes with one thread."""

    def __init__(self, backbone: str) -> None:
        torch.set_num_threads(1)
        if backbone == "efficientnet-lite0":
            import timm

            made: torch.nn.Module = timm.create_model("tf_efficientnet_lite0", pretrained=False, num_classes=_CLASSES)
        else:
            import torchvision

            made = getattr(torchvision.models, backbone)(num_classes=_CLASSES)
        self._network = made.eval()

    def logits(self, photo: bytes) -> list[list[float]]:
        """The logits of one encoded photo."""
        image = _TRANSFORM(Image.open(io.BytesIO(photo)).convert("RGB"))
        with torch.inference_mode():
            rows: list[list[float]] = self._network(image.unsqueeze(0)).tolist()
        return rows

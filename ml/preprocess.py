"""Turns the bytes of a picture into the model's input. Training, evaluation and serving share this module.

It exists so that the trainer and the endpoint compute the same value for every pixel. It needs no torch.
What is accepted, ml/photos.py says.
"""

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any

import numpy as np
import numpy.typing as npt

from ml.photos import decode_pixels
from ml.resize import INTERPOLATIONS, PILLOW, VERSIONS, resize

MAX_SIZE = 1024  # pixels a side of a model's input


@dataclass(frozen=True)
class Preprocessing:
    """How an image becomes the model's input: the short side is scaled to `resize` pixels, the centre of `size` x
    `size` pixels is kept, values become 0..1, then `(value - mean) / std` for each of R, G and B.

    Raises ValueError for values that cannot be used."""

    size: int
    resize: int
    interpolation: str
    mean: tuple[float, float, float]
    std: tuple[float, float, float]
    version: int = PILLOW

    def __post_init__(self) -> None:
        if not 1 <= self.size <= self.resize <= 2 * MAX_SIZE or self.size > MAX_SIZE:
            raise ValueError(
                f"Sizes must satisfy 1 <= size <= resize and size <= {MAX_SIZE}, not {self.size}, {self.resize}."
            )
        if self.interpolation not in INTERPOLATIONS:
            raise ValueError(f"interpolation must be one of {', '.join(INTERPOLATIONS)}, not {self.interpolation!r}.")
        if self.version not in VERSIONS:
            raise ValueError(f"version must be one of {', '.join(map(str, VERSIONS))}, not {self.version!r}.")
        for name, values in (("mean", self.mean), ("std", self.std)):
            if len(values) != 3 or not all(math.isfinite(value) for value in values):
                raise ValueError(f"{name} must be three finite numbers, not {values!r}.")
        if min(self.std) <= 0:
            raise ValueError(f"std must be positive, not {self.std!r}.")

    def to_dict(self) -> dict[str, Any]:
        """The fields in types that JSON can hold. Version 1 is not among them: so a server and a cache that know no
        version can use it."""
        found = asdict(self) | {"mean": list(self.mean), "std": list(self.std)}
        if self.version == PILLOW:
            del found["version"]
        return found

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> "Preprocessing":
        """The inverse of to_dict. Raises ValueError, which names the missing, unknown or unusable key."""
        values = {"version": PILLOW} | dict(values)
        names = {field.name for field in fields(cls)}
        if set(values) != names:
            raise ValueError(f"Preprocessing needs the keys {sorted(names)}, not {sorted(values)}.")
        try:
            mean, std = (tuple(float(value) for value in values[name]) for name in ("mean", "std"))
            size, resize, version = (int(values[name]) for name in ("size", "resize", "version"))
        except (TypeError, ValueError) as error:
            raise ValueError(f"Preprocessing holds a value of the wrong type: {error}.") from error
        interpolation = str(values["interpolation"])
        return cls(size=size, resize=resize, interpolation=interpolation, mean=mean, std=std, version=version)  # type: ignore[arg-type]


def to_array(pixels: npt.NDArray[np.uint8], preprocessing: Preprocessing) -> npt.NDArray[np.float32]:
    """uint8 (H, W, 3) -> float32 (3, size, size), normalised. One antialiased resize of the crop's box both scales and
    crops."""
    p = preprocessing
    height, width, _ = pixels.shape
    side = min(width, height) * p.size / p.resize
    left, top = (width - side) / 2, (height - side) / 2
    box = (left, top, left + side, top + side)
    return normalise(resize(pixels, (p.size, p.size), box, p.interpolation, p.version), p)


def normalise(pixels: npt.NDArray[np.uint8], preprocessing: Preprocessing) -> npt.NDArray[np.float32]:
    """uint8 (H, W, 3) -> contiguous float32 (3, H, W), by the mean and standard deviation of each channel."""
    factor, offset = (values.reshape(3, 1, 1) for values in _factor_and_offset(preprocessing))
    array = pixels.transpose(2, 0, 1).astype(np.float32, order="C")
    array *= factor
    array -= offset
    return array


def normalise_channels_last(
    pixels: npt.NDArray[np.uint8], preprocessing: Preprocessing, out: npt.NDArray[np.float32]
) -> None:
    """Writes the values of `normalise` into `out`, float32 (H, W, 3): for a batch whose memory has that layout."""
    height, width, _ = pixels.shape
    factor, offset = (np.tile(values, width) for values in _factor_and_offset(preprocessing))
    rows = out.reshape(height, 3 * width, copy=False)  # numpy is slow where the innermost loop has three values
    np.copyto(rows, pixels.reshape(height, 3 * width))
    rows *= factor
    rows -= offset


def _factor_and_offset(preprocessing: Preprocessing) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]:
    """For each channel, in float32: `value * factor - offset` is the normalised value."""
    mean, std = (np.asarray(values, np.float32) for values in (preprocessing.mean, preprocessing.std))
    return np.float32(1) / (np.float32(255) * std), mean / std


def preprocess(data: bytes, preprocessing: Preprocessing) -> npt.NDArray[np.float32]:
    """Bytes -> float32 (3, size, size), computed as for the evaluation of the model. Raises BadImage.

    The decoder is asked for twice the resize side, so that the last reduction is always the antialiased one."""
    return to_array(decode_pixels(data, short_side=2 * preprocessing.resize), preprocessing)

"""Turns the bytes of a picture into the model's input. Training, evaluation and serving share this module.

It exists so that the trainer and the endpoint compute the same value for every pixel. It needs only numpy and Pillow.

Accepted are still images in JPEG, PNG and WebP of bounded size. Greyscale, palette, 16-bit and CMYK images become
8-bit RGB, transparent pixels are laid on white, and the EXIF orientation is applied (a broken EXIF block is ignored).
An animation is refused, because none of its frames is the one picture. Of a camera's multi-picture JPEG the first
picture is used.
"""

import io
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image, UnidentifiedImageError

FORMATS = ("JPEG", "PNG", "WEBP")
MAX_PIXELS = 50_000_000  # of a JPEG, which is decoded at a fraction of its size; phones take photos of 50 megapixels
# Of PNG and WebP, which are decoded at full size; a file of 34 bytes can declare any size.
MAX_PIXELS_WHOLE = 4096 * 4096
MAX_SIZE = 1024  # pixels a side of a model's input
# Pillow warns at its own limit and fails at twice that limit. decode() checks our limits before it decodes a pixel.
Image.MAX_IMAGE_PIXELS = None

INTERPOLATIONS = {"bicubic": Image.Resampling.BICUBIC, "bilinear": Image.Resampling.BILINEAR}
_EXIF_ORIENTATION = 0x0112
_TRANSPOSE = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}


class BadImage(ValueError):
    """The bytes are not an image that can be used; the message is one clear sentence for the caller."""


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

    def __post_init__(self) -> None:
        if not 1 <= self.size <= self.resize <= 2 * MAX_SIZE or self.size > MAX_SIZE:
            raise ValueError(
                f"Sizes must satisfy 1 <= size <= resize and size <= {MAX_SIZE}, not {self.size}, {self.resize}."
            )
        if self.interpolation not in INTERPOLATIONS:
            raise ValueError(f"interpolation must be one of {', '.join(INTERPOLATIONS)}, not {self.interpolation!r}.")
        for name, values in (("mean", self.mean), ("std", self.std)):
            if len(values) != 3 or not all(math.isfinite(value) for value in values):
                raise ValueError(f"{name} must be three finite numbers, not {values!r}.")
        if min(self.std) <= 0:
            raise ValueError(f"std must be positive, not {self.std!r}.")

    def to_dict(self) -> dict[str, Any]:
        """The fields in types that JSON can hold."""
        return asdict(self) | {"mean": list(self.mean), "std": list(self.std)}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> "Preprocessing":
        """The inverse of to_dict. Raises ValueError, which names the missing, unknown or unusable key."""
        names = {field.name for field in fields(cls)}
        if set(values) != names:
            raise ValueError(f"Preprocessing needs the keys {sorted(names)}, not {sorted(values)}.")
        try:
            mean, std = (tuple(float(value) for value in values[name]) for name in ("mean", "std"))
            size, resize = int(values["size"]), int(values["resize"])
        except (TypeError, ValueError) as error:
            raise ValueError(f"Preprocessing holds a value of the wrong type: {error}.") from error
        return cls(size=size, resize=resize, interpolation=str(values["interpolation"]), mean=mean, std=std)  # type: ignore[arg-type]


def decode(data: bytes, short_side: int | None = None) -> Image.Image:
    """The image in `data` as 8-bit RGB, upright.

    With `short_side` (pixels), a much larger JPEG may be decoded at 1/2, 1/4 or 1/8 of its size, but never smaller than
    that side; this is several times faster for camera photos. Raises BadImage for data that is not an accepted image.
    """
    if not data:
        raise BadImage("The image is empty.")
    try:
        image = Image.open(io.BytesIO(data), formats=FORMATS)
        _check(image)
        if short_side:
            image.draft(None, (short_side, short_side))
        image.load()
        return _to_rgb(_upright(image))
    except BadImage:
        raise
    except UnidentifiedImageError:
        raise BadImage("The data is not a JPEG, PNG or WebP image.") from None
    except Exception as error:  # bytes may be hostile: whatever a decoder raises, the image is at fault
        reason = " ".join(str(error).split()).rstrip(". ") or type(error).__name__
        raise BadImage(f"The image is broken or truncated: {reason}.") from error


def to_array(image: Image.Image, preprocessing: Preprocessing) -> npt.NDArray[np.float32]:
    """float32 (3, size, size), normalised. One antialiased resize of the crop's box both scales and crops."""
    p = preprocessing
    width, height = image.size
    side = min(width, height) * p.size / p.resize
    left, top = (width - side) / 2, (height - side) / 2
    box = (left, top, left + side, top + side)
    small = image.resize((p.size, p.size), INTERPOLATIONS[p.interpolation], box=box)
    return normalise(np.asarray(small), p)


def normalise(pixels: npt.NDArray[np.uint8], preprocessing: Preprocessing) -> npt.NDArray[np.float32]:
    """uint8 (H, W, 3) -> contiguous float32 (3, H, W), by the mean and standard deviation of each channel."""
    mean, std = (np.asarray(values, np.float32).reshape(3, 1, 1) for values in (preprocessing.mean, preprocessing.std))
    array = pixels.transpose(2, 0, 1).astype(np.float32, order="C")
    array *= 1 / (255 * std)
    array -= mean / std
    return array


def preprocess(data: bytes, preprocessing: Preprocessing) -> npt.NDArray[np.float32]:
    """Bytes -> float32 (3, size, size), computed as for the evaluation of the model. Raises BadImage.

    The decoder is asked for twice the resize side, so that the last reduction is always the antialiased one."""
    return to_array(decode(data, short_side=2 * preprocessing.resize), preprocessing)


def _check(image: Image.Image) -> None:
    width, height = image.size
    limit = MAX_PIXELS if image.format in ("JPEG", "MPO") else MAX_PIXELS_WHOLE
    if width * height > limit:
        raise BadImage(f"The image has {width} x {height} pixels; at most {limit:,} are accepted.")
    if getattr(image, "is_animated", False) and image.format != "MPO":
        raise BadImage("The image is animated; send one still image.")


def _upright(image: Image.Image) -> Image.Image:
    try:
        orientation = image.getexif().get(_EXIF_ORIENTATION)
    except Exception:  # noqa: BLE001 - a broken EXIF block does not make a bad photo
        orientation = None
    method = _TRANSPOSE.get(orientation) if isinstance(orientation, int) else None
    return image if method is None else image.transpose(method)


def _to_rgb(image: Image.Image) -> Image.Image:
    """Any mode of the accepted formats -> RGB. 16-bit values keep their high byte; transparent parts become white."""
    if image.mode.startswith("I"):
        high = (np.asarray(image) >> 8).clip(0, 255).astype(np.uint8)
        return Image.fromarray(high).convert("RGB")
    if image.has_transparency_data:
        layer = image.convert("RGBA")
        white = Image.new("RGB", layer.size, "white")
        white.paste(layer, mask=layer.getchannel("A"))
        return white
    return image if image.mode == "RGB" else image.convert("RGB")

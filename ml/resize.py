"""Makes images smaller or larger, by the resizer that the version of a model's preprocessing names.

The trainer, the evaluation and the server all call this module, so that a model sees the same pixels in each. Versions:

1. Pillow's resize, as in the model cards that name no version.
2. The same antialiased filters in 16-bit integers, first by column, then by row: in a third of Pillow's time, by
   cykooz-resizer. That has no wheel for Linux on arm64, where numpy computes the same bits, slowly.

A change of one bit is a new version.
"""

import math

import numpy as np
import numpy.typing as npt
from PIL import Image

from ml.photos import pixels_of

try:
    import cykooz_resizer as simd
except ImportError:
    simd = None

type Pixels = npt.NDArray[np.uint8]  # (H, W, 3)
type Box = tuple[float, float, float, float]  # left, top, right, bottom, in pixels

PILLOW, FIXED_POINT = 1, 2
VERSIONS = (PILLOW, FIXED_POINT)
FASTEST = FIXED_POINT if simd else PILLOW  # on this machine: the version of new models
INTERPOLATIONS = {"bicubic": Image.Resampling.BICUBIC, "bilinear": Image.Resampling.BILINEAR}

_SIMD_FILTERS = {"bicubic": "catmull_rom", "bilinear": "bilinear"}
_RADIUS = {"bicubic": 2.0, "bilinear": 1.0}  # of a filter, in pixels of the smaller of both images
_WEIGHT_LIMIT = 2**15  # a weight is a signed integer of 16 bits
_MAX_SHIFT = 21  # so that sums of products with 8-bit values fit into 32 bits


def resize(pixels: Pixels, size: tuple[int, int], box: Box, interpolation: str, version: int) -> Pixels:
    """The part of an image in `box` at another size (width, height): uint8 (H, W, 3) -> uint8 (height, width, 3), which
    may be not writable. The box lies in the image, but for what rounding adds at its right and lower edge."""
    if version == PILLOW:
        return pixels_of(Image.fromarray(pixels).resize(size, INTERPOLATIONS[interpolation], box=box))
    height, width, _ = pixels.shape
    left, top, right, bottom = box
    within = (left, top, min(right, width), min(bottom, height))
    return (by_simd if simd else by_numpy)(pixels, size, within, interpolation)


def by_simd(pixels: Pixels, size: tuple[int, int], box: Box, interpolation: str) -> Pixels:
    """Version 2 by cykooz-resizer, in which other threads of Python go on. Its copies of the pixels are cheap."""
    (width, height), (left, top, right, bottom) = size, box
    options = simd.ResizeOptions(
        resize_alg=simd.ResizeAlg.convolution(simd.FilterType[_SIMD_FILTERS[interpolation]]),
        crop_box=simd.CropBox(left, top, right - left, bottom - top),
    )
    source = simd.ImageData(pixels.shape[1], pixels.shape[0], simd.PixelType.U8x3, pixels.tobytes())
    target = simd.ImageData(width, height, simd.PixelType.U8x3)
    simd.Resizer().resize(source, target, options)
    return np.frombuffer(target.get_buffer(), np.uint8).reshape(height, width, 3)


def by_numpy(pixels: Pixels, size: tuple[int, int], box: Box, interpolation: str) -> Pixels:
    """Version 2 by numpy: 30 times slower, and what defines the bits."""
    (width, height), (left, top, right, bottom) = size, box
    columns = _convolved(pixels, top, top + (bottom - top), height, interpolation)
    rows = _convolved(columns.transpose(1, 0, 2), left, left + (right - left), width, interpolation)
    return np.ascontiguousarray(rows.transpose(1, 0, 2))


def _convolved(lines: Pixels, start: float, stop: float, count: int, interpolation: str) -> Pixels:
    """`count` lines in the place of those from `start` to `stop`. Each is a weighted sum, in integers."""
    indices, weights = _weights(len(lines), start, stop, count, interpolation)
    shift = max(bits for bits in range(_MAX_SHIFT + 1) if _rounded(weights.max() * 2**bits) < _WEIGHT_LIMIT)
    scaled = _rounded(weights * 2**shift).astype(np.int32)
    total = np.full((count, *lines.shape[1:]), 2**shift // 2, np.int32)  # so that the shift rounds to the nearest
    for number in range(scaled.shape[1]):
        total += lines[indices[:, number]] * scaled[:, number, np.newaxis, np.newaxis]
    return (total >> shift).clip(0, 255).astype(np.uint8)


def _weights(
    available: int, start: float, stop: float, count: int, interpolation: str
) -> tuple[npt.NDArray[np.intp], npt.NDArray[np.float64]]:
    """For each of `count` lines, the given lines of which it is the sum, and their weights, which add up to 1: both
    (count, N)."""
    scale = (stop - start) / count
    stretch = max(scale, 1.0)  # a smaller image is filtered as wide as the distance of its pixels
    radius = _RADIUS[interpolation] * stretch
    centres = (start + (np.arange(count) + 0.5) * scale)[:, np.newaxis]
    indices = np.maximum(np.floor(centres - radius), 0) + np.arange(2 * math.ceil(radius) + 1)
    weights = _filter(np.abs((indices - (centres - 0.5)) * (1 / stretch)), interpolation)
    weights[indices >= np.minimum(np.ceil(centres + radius), available)] = 0
    sums = np.add.accumulate(weights, axis=1)[:, -1:]  # one after another: numpy's own sum has no order
    return indices.clip(0, available - 1).astype(np.intp), weights / sums


def _filter(distance: npt.NDArray[np.float64], interpolation: str) -> npt.NDArray[np.float64]:
    """A triangle, or Catmull and Rom's cubic spline."""
    x = distance
    if interpolation == "bilinear":
        return np.where(x < 1, 1 - x, 0.0)
    near, far = (1.5 * x - 2.5) * x * x + 1, (((x - 5) * x + 8) * x - 4) * -0.5
    return np.where(x < 1, near, np.where(x < 2, far, 0.0))


def _rounded(values: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """To whole numbers; a half goes away from zero."""
    return np.copysign(np.floor(np.abs(values) + 0.5), values)

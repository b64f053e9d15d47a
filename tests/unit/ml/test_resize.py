"""A version of the resizer gives the same bits on each machine, by each package that computes it."""

import hashlib

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ml import resize as module
from ml.resize import FASTEST, FIXED_POINT, INTERPOLATIONS, PILLOW, Box, by_numpy, by_simd, resize

NOISE = np.random.default_rng(0).integers(0, 256, (96, 128, 3), np.uint8)
kinds = st.sampled_from(sorted(INTERPOLATIONS))
has_simd = pytest.mark.skipif(FASTEST == PILLOW, reason="cykooz-resizer has no wheel for this machine")


@pytest.mark.parametrize(
    ("version", "interpolation", "digest"),
    [
        (PILLOW, "bilinear", "8f1f7e6d43eace89"),
        (PILLOW, "bicubic", "7456c0319e7cd8af"),
        (FIXED_POINT, "bilinear", "0413f88e11e8ec61"),
        (FIXED_POINT, "bicubic", "c5e4c7152af194a5"),
    ],
)
def test_the_bits_of_a_version_never_change(version: int, interpolation: str, digest: str) -> None:
    """Models are trained on them. A release of a package that changes them needs a new version."""
    sizes: list[tuple[tuple[int, int], Box]] = [((50, 40), (3.25, 2.5, 110.75, 95.0)), ((200, 31), (0, 0, 128, 96))]
    found = hashlib.sha256()
    for size, box in sizes:
        found.update(resize(NOISE, size, box, interpolation, version).tobytes())
    assert found.hexdigest()[:16] == digest


@has_simd
@settings(max_examples=150, deadline=None)
@given(st.data(), st.integers(1, 96), st.integers(1, 128), st.integers(1, 70), st.integers(1, 70), kinds)
def test_both_ways_to_compute_the_second_version_give_the_same_bits(
    draw: st.DataObject, height: int, width: int, high: int, wide: int, interpolation: str
) -> None:
    left, top = draw.draw(st.floats(0, width - 0.5)), draw.draw(st.floats(0, height - 0.5))
    right, bottom = draw.draw(st.floats(left + 0.25, width)), draw.draw(st.floats(top + 0.25, height))
    pixels, box = NOISE[:height, :width], (left, top, right, bottom)
    fast = by_simd(pixels, (wide, high), box, interpolation)
    assert fast.shape == (high, wide, 3)
    assert np.array_equal(fast, by_numpy(pixels, (wide, high), box, interpolation))


@has_simd
def test_a_photo_of_four_thousand_pixels_a_side_has_the_same_bits_both_ways() -> None:
    pixels = np.random.default_rng(1).integers(0, 256, (40, 4096, 3), np.uint8)
    for interpolation in INTERPOLATIONS:
        arguments = (pixels, (7, 64), (0.0, 1.5, 4096.0, 38.5), interpolation)
        assert np.array_equal(by_simd(*arguments), by_numpy(*arguments))


def test_without_the_package_numpy_gives_the_second_version(monkeypatch: pytest.MonkeyPatch) -> None:
    arguments = (NOISE, (20, 30), (1.5, 2.5, 100.0, 90.0), "bicubic", FIXED_POINT)
    expected = resize(*arguments)
    monkeypatch.setattr(module, "simd", None)
    assert np.array_equal(resize(*arguments), expected)


@settings(max_examples=50, deadline=None)
@given(st.integers(1, 128), st.floats(0, 1), kinds)
def test_a_box_that_ends_a_rounding_beyond_the_edge_is_taken(width: int, part: float, interpolation: str) -> None:
    left = part * width * (1 - 1 / 128)
    right = float(np.nextafter(width, 1000))
    pixels = NOISE[:, :width]
    found = resize(pixels, (9, 9), (left, 0, right, 96), interpolation, FIXED_POINT)
    assert np.array_equal(found, resize(pixels, (9, 9), (left, 0, width, 96), interpolation, FIXED_POINT))


@pytest.mark.parametrize("interpolation", sorted(INTERPOLATIONS))
@pytest.mark.parametrize("version", [PILLOW, FIXED_POINT])
def test_a_resize_to_the_same_size_changes_nothing(version: int, interpolation: str) -> None:
    assert np.array_equal(resize(NOISE, (128, 96), (0, 0, 128, 96), interpolation, version), NOISE)


@pytest.mark.parametrize("interpolation", sorted(INTERPOLATIONS))
def test_the_versions_look_alike(interpolation: str) -> None:
    smooth = np.minimum(np.add.outer(np.arange(96), np.arange(128)), 255).astype(np.uint8)[..., np.newaxis].repeat(3, 2)
    views = [resize(smooth, (40, 30), (2.5, 3.5, 120.0, 90.0), interpolation, n).astype(int) for n in (1, 2)]
    assert np.abs(views[0] - views[1]).max() <= 1

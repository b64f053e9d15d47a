"""Pictures of every kind become the model's input, or are refused with one sentence."""

import contextlib
import io
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageOps

from ml.photos import MAX_PIXELS_WHOLE, BadImage, decode, decode_pixels
from ml.preprocess import Preprocessing, normalise, normalise_channels_last, preprocess, to_array
from ml.resize import FIXED_POINT, PILLOW, VERSIONS, resize
from tests.unit.ml.damaged import decompression_bomb, encode, gradient, multi_picture

GRADIENT = np.asarray(gradient())
PLAIN = Preprocessing(size=32, resize=40, interpolation="bicubic", mean=(0.0, 0.0, 0.0), std=(1.0, 1.0, 1.0))


@pytest.mark.parametrize("form", ["JPEG", "PNG", "WEBP"])
def test_each_format_gives_the_same_picture(form: str) -> None:
    array = preprocess(encode(gradient(), form), PLAIN)
    assert array.shape == (3, 32, 32)
    assert array.dtype == np.float32
    assert array.flags.c_contiguous
    assert np.abs(array - to_array(GRADIENT, PLAIN)).max() < 0.06


def test_the_crop_is_what_resize_then_centre_crop_gives() -> None:
    image = gradient(400, 320)
    resized = np.asarray(image.resize((50, 40), Image.Resampling.BICUBIC))[4:36, 9:41]
    assert np.abs(to_array(np.asarray(image), PLAIN) - resized.transpose(2, 0, 1) / 255).max() <= 2 / 255


def test_values_are_normalised_by_channel() -> None:
    p = Preprocessing(4, 4, "bilinear", (0.5, 0.25, 0.0), (0.5, 0.25, 2.0))
    array = to_array(np.full((9, 9, 3), (255, 0, 51), np.uint8), p)
    assert np.allclose(array[:, 0, 0], [1.0, -1.0, 0.1], atol=1e-6)


def test_the_values_are_the_same_bits_in_both_layouts() -> None:
    p = Preprocessing(4, 4, "bilinear", (0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
    pixels = np.arange(256, dtype=np.uint8).repeat(3).reshape(16, 16, 3)
    out = np.empty((16, 16, 3), np.float32)
    normalise_channels_last(pixels, p, out)
    assert np.array_equal(out.transpose(2, 0, 1), normalise(pixels, p))


@pytest.mark.parametrize("size", [(1, 1), (1, 3000), (3000, 1), (33, 31)])
def test_extreme_shapes_are_accepted(size: tuple[int, int]) -> None:
    assert np.allclose(preprocess(encode(Image.new("RGB", size, "white")), PLAIN), 1.0)


def test_grey_palette_and_one_bit_images_become_rgb() -> None:
    for mode in ("L", "P", "1"):
        image = decode(encode(Image.new("RGB", (8, 8), "white").convert(mode)))
        assert (image.mode, image.getpixel((3, 3))) == ("RGB", (255, 255, 255))


def test_sixteen_bits_keep_their_high_byte() -> None:
    values = np.full((8, 8), 0x80FF, np.uint16)
    assert decode(encode(Image.fromarray(values))).getpixel((0, 0)) == (128, 128, 128)


@pytest.mark.parametrize("mode", ["RGBA", "LA", "P"])
def test_transparency_is_laid_on_white(mode: str) -> None:
    image = Image.new("RGBA", (8, 8), (0, 0, 0, 0)).convert(mode)
    options: dict[str, Any] = {"transparency": 0} if mode == "P" else {}
    assert decode(encode(image, **options)).getpixel((4, 4)) == (255, 255, 255)


def test_a_cmyk_jpeg_becomes_rgb() -> None:
    red = decode(encode(Image.new("CMYK", (16, 16), (0, 255, 255, 0)), "JPEG")).getpixel((8, 8))
    assert isinstance(red, tuple)
    assert red[0] > 240 > 20 > max(red[1:])


@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_orientation_is_applied(orientation: int) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    data = encode(gradient(), "JPEG", exif=exif, quality=95)
    expected = ImageOps.exif_transpose(Image.open(io.BytesIO(data)))
    assert expected is not None
    assert np.array_equal(np.asarray(decode(data)), np.asarray(expected))


def test_a_broken_exif_block_is_ignored() -> None:
    data = encode(gradient(), "JPEG", exif=b"Exif\0\0II*\0\xff\xff\xff\xff garbage")
    assert decode(data).size == (64, 48)


@pytest.mark.parametrize("form", ["PNG", "WEBP"])
def test_an_animation_is_refused(form: str) -> None:
    frames = [gradient(), Image.new("RGB", (64, 48), "red")]
    with pytest.raises(BadImage, match="animated"):
        decode(encode(frames[0], form, save_all=True, append_images=frames[1:]))


def test_a_multi_picture_jpeg_is_its_first_picture() -> None:
    data = multi_picture(64, 48)
    assert np.abs(np.asarray(decode(data), np.int16) - np.asarray(gradient(), np.int16)).max() < 40


def test_large_jpegs_are_decoded_smaller_and_look_the_same() -> None:
    data = encode(gradient(1600, 1200), "JPEG", quality=95)
    assert decode(data, short_side=80).size == (200, 150)
    assert np.abs(preprocess(data, PLAIN) - to_array(decode_pixels(data), PLAIN)).max() < 0.03


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (b"", "empty"),
        (b"not an image", "not a JPEG, PNG or WebP"),
        (encode(gradient(), "GIF"), "not a JPEG, PNG or WebP"),
        (encode(gradient(), "BMP"), "not a JPEG, PNG or WebP"),
        (encode(gradient(), "TIFF"), "not a JPEG, PNG or WebP"),
        (encode(gradient(), "JPEG")[:400], "broken or truncated"),
        (encode(gradient(), "PNG")[:-60], "broken or truncated"),
        (encode(gradient(), "WEBP")[:60], "not a JPEG, PNG or WebP|broken or truncated"),
        (encode(gradient(), "JPEG")[:3], "not a JPEG, PNG or WebP|broken or truncated"),
        (decompression_bomb(100_000, 100_000), "100000 x 100000 pixels; at most 16,777,216"),
        (decompression_bomb(MAX_PIXELS_WHOLE + 1, 1), "pixels"),
        (decompression_bomb(0, 5), "not a JPEG, PNG or WebP|broken or truncated"),
        (decompression_bomb(4000, 4000), "broken or truncated"),
    ],
)
def test_unusable_images_are_refused(data: bytes, says: str) -> None:
    with pytest.raises(BadImage, match=says) as caught:
        preprocess(data, PLAIN)
    assert str(caught.value).endswith(".")
    assert "\n" not in str(caught.value)


@settings(max_examples=200, deadline=None)
@given(st.sampled_from(["JPEG", "PNG", "WEBP"]), st.data())
def test_damaged_bytes_give_an_array_or_bad_image(form: str, draw: st.DataObject) -> None:
    data = bytearray(encode(gradient(), form))
    for _ in range(draw.draw(st.integers(1, 8))):
        data[draw.draw(st.integers(0, len(data) - 1))] = draw.draw(st.integers(0, 255))
    with contextlib.suppress(BadImage):
        assert preprocess(bytes(data), PLAIN).shape == (3, 32, 32)


@pytest.mark.parametrize("version", VERSIONS)
def test_round_trip_as_a_dict(version: int) -> None:
    p = Preprocessing(224, 256, "bilinear", (0.1, 0.2, 0.3), (0.4, 0.5, 0.6), version)
    assert Preprocessing.from_dict(p.to_dict()) == p


def test_a_dict_without_a_version_is_of_the_first_which_writes_none() -> None:
    assert Preprocessing.from_dict(PLAIN.to_dict()).version == PILLOW
    assert "version" not in PLAIN.to_dict()
    assert replace(PLAIN, version=FIXED_POINT).to_dict()["version"] == FIXED_POINT


def test_a_version_decides_the_resizer() -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (90, 120, 3), np.uint8)
    for version in VERSIONS:
        small = resize(pixels, (32, 32), (24.0, 9.0, 96.0, 81.0), "bicubic", version)
        assert np.array_equal(to_array(pixels, replace(PLAIN, version=version)), normalise(small, PLAIN))


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"size": 0}, "size"),
        ({"size": 64}, "size"),
        ({"size": 2000, "resize": 2000}, "size"),
        ({"interpolation": "nearest"}, "interpolation"),
        ({"mean": [0, 0]}, "mean"),
        ({"mean": [0, 0, float("nan")]}, "mean"),
        ({"std": [1, 1, 0]}, "std"),
        ({"std": "x"}, "wrong type"),
        ({"size": "many"}, "wrong type"),
        ({"colour": 1}, "keys"),
        ({"version": 3}, "version must be one of 1, 2, not 3"),
        ({"version": None}, "wrong type"),
    ],
)
def test_unusable_preprocessing_is_refused(change: dict[str, object], says: str) -> None:
    with pytest.raises(ValueError, match=says):
        Preprocessing.from_dict(PLAIN.to_dict() | change)

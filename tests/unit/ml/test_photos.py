"""What a photo is: damaged files written byte by byte, and the files of a channel that are none."""

import io
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from PIL.JpegImagePlugin import JpegImageFile

from ml.photos import (
    MAX_PIXELS_WHOLE,
    BadImage,
    Verdict,
    Verdicts,
    decode,
    decode_pixels,
    is_class_name,
    is_left_out,
    judge,
    list_photos,
)
from tests.unit.ml.damaged import (
    chunk,
    encode,
    gradient,
    harmless_jpegs,
    harmless_pngs,
    harmless_webps,
    multi_picture,
    segment,
    with_chunk,
    with_segment,
)

JPEG, PNG, WEBP = (encode(gradient(), form) for form in ("JPEG", "PNG", "WEBP"))
LARGE = {
    name: encode(gradient(640, 480), "JPEG", progressive=name == "progressive") for name in ("baseline", "progressive")
}


def pixels(data: bytes) -> np.ndarray:
    return np.asarray(decode(data))


def by_pillow(data: bytes, short_side: int | None = None) -> np.ndarray:
    image = Image.open(io.BytesIO(data), formats=("JPEG",))
    if short_side:
        image.draft(None, (short_side, short_side))
    return np.asarray(image.convert("RGB"))


def verdict(data: bytes, folder: Path) -> Verdict:
    (folder / "photo").write_bytes(data)
    return judge(folder / "photo")


def harmless() -> Iterator[tuple[str, bytes, bytes]]:
    for whole, found in ((PNG, harmless_pngs(PNG)), (JPEG, harmless_jpegs(JPEG)), (WEBP, harmless_webps(WEBP))):
        for name, damaged in found:
            yield name, damaged, whole


@pytest.mark.parametrize(("damaged", "whole"), [pytest.param(*rest, id=name) for name, *rest in harmless()])
def test_metadata_decides_nothing(damaged: bytes, whole: bytes) -> None:
    assert np.array_equal(pixels(damaged), pixels(whole))


NOISE = np.asarray(gradient(301, 203)) // 2 + np.random.default_rng(0).integers(0, 100, (203, 301, 3), np.uint8)


@pytest.mark.parametrize("short_side", [None, 150, 100, 50, 25, 1])
@pytest.mark.parametrize("subsampling", ["4:4:4", "4:2:2", "4:2:0"])
@pytest.mark.parametrize("progressive", [False, True])
def test_an_undamaged_jpeg_has_pillows_pixels_at_each_scale(
    short_side: int | None, subsampling: str, progressive: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = encode(Image.fromarray(NOISE), "JPEG", subsampling=subsampling, progressive=progressive, quality=80)
    expected = by_pillow(data, short_side)
    monkeypatch.setattr(JpegImageFile, "load", lambda image: pytest.fail("Pillow has decoded it."))
    assert np.array_equal(decode_pixels(data, short_side), expected)


@settings(max_examples=100, deadline=None)
@given(st.integers(1, 70), st.integers(1, 70), st.integers(1, 20))
def test_a_small_jpeg_has_pillows_pixels_at_each_scale(width: int, height: int, short_side: int) -> None:
    data = encode(Image.fromarray(NOISE[:height, :width]), "JPEG")
    assert np.array_equal(decode_pixels(data, short_side), by_pillow(data, short_side))


@settings(max_examples=200, deadline=None)
@given(st.data())
def test_a_damaged_jpeg_has_pillows_pixels(draw: st.DataObject) -> None:
    """But for its head, which is read by our rules. What Pillow cannot read, such as a scan with another start of a
    frame in it, is refused."""
    data = bytearray(encode(Image.fromarray(NOISE), "JPEG", quality=80))
    start = data.index(b"\xff\xda")
    for _ in range(draw.draw(st.integers(1, 8))):
        data[draw.draw(st.integers(start + 14, len(data) - 3))] = draw.draw(st.integers(0, 254))
    try:
        expected = by_pillow(bytes(data))
    except (OSError, SyntaxError):
        with pytest.raises(BadImage):
            decode_pixels(bytes(data))
    else:
        assert np.array_equal(decode_pixels(bytes(data)), expected)


def test_the_rule_reads_the_pixels_that_pillow_reads() -> None:
    rgba = gradient().convert("RGBA").rotate(20)
    images = {
        "JPEG": [gradient(), gradient().convert("L"), gradient().convert("CMYK")],
        "PNG": [gradient(), rgba, gradient().convert("P"), gradient().convert("1"), gradient().convert("LA")],
        "WEBP": [gradient(), rgba],
    }
    for form, several in images.items():
        for image in several:
            data = encode(image, form)
            plain: Image.Image = Image.open(io.BytesIO(data))
            if plain.has_transparency_data:
                layer = plain.convert("RGBA")
                plain = Image.new("RGB", layer.size, "white")
                plain.paste(layer, mask=layer.getchannel("A"))
            assert np.array_equal(pixels(data), np.asarray(plain.convert("RGB"))), (form, image.mode)


@pytest.mark.parametrize("kind", LARGE)
@pytest.mark.parametrize("kept", [0.75, 0.9, 0.99])
def test_a_jpeg_that_is_cut_short_is_used_as_browsers_show_it(kind: str, kept: float, tmp_path: Path) -> None:
    data = LARGE[kind][: int(len(LARGE[kind]) * kept)]
    found, whole = pixels(data), pixels(LARGE[kind])
    assert np.abs(found[:200].astype(int) - whole[:200]).max() < (1 if kind == "baseline" else 60)
    assert verdict(data, tmp_path) == Verdict(is_cut_short=True)
    if kind == "baseline" and kept < 0.9:
        assert (found[-1] == 128).all()


def test_a_progressive_jpeg_may_be_cut_between_and_inside_its_segments() -> None:
    data = LARGE["progressive"]
    start = data.rfind(b"\xff\xc4")  # the Huffman table of the last scan
    for end in range(start, start + 24):
        assert decode(data[:end]).size == (640, 480)


@pytest.mark.parametrize("kept", [0.15, 0.3, 0.45])
def test_a_jpeg_of_which_less_than_half_is_there_is_refused(kept: float, tmp_path: Path) -> None:
    data = LARGE["baseline"]
    found = verdict(data[: int(len(data) * kept)], tmp_path)
    assert str(found.error) == "The image is broken or truncated: less than half of it is there."


@pytest.mark.parametrize("form", ["PNG", "WEBP"])
@pytest.mark.parametrize("kept", [0.3, 0.7])
def test_a_png_or_webp_that_is_cut_short_is_refused(form: str, kept: float, tmp_path: Path) -> None:
    data = encode(gradient(), form)
    assert "broken or truncated" in str(verdict(data[: int(len(data) * kept)], tmp_path).error)


def test_a_cmyk_jpeg_keeps_the_segment_that_says_how_colours_are_stored() -> None:
    red = encode(Image.new("CMYK", (16, 16), (0, 255, 255, 0)), "JPEG")
    assert b"Adobe" in red
    short = segment(0xEE, b"Adobe\0d")
    for data in (red, with_segment(red, short)):
        assert pixels(data)[8, 8].tolist() == [255, 0, 0]


def test_a_multi_picture_jpeg_of_24_megapixels_is_a_jpeg(tmp_path: Path) -> None:
    data = multi_picture(6000, 4000)
    assert MAX_PIXELS_WHOLE < 6000 * 4000
    assert Image.open(io.BytesIO(data)).format == "MPO"
    assert verdict(data, tmp_path) == Verdict()
    assert decode(data, short_side=500).size == (750, 500)


def test_the_orientation_is_read_beside_broken_metadata() -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    jpeg = with_segment(encode(gradient(), "JPEG", exif=exif), segment(0xED, b"Photoshop 3.0\0" + b"8BIM"))
    png = with_chunk(encode(gradient(), "PNG", exif=exif), chunk(b"tEXt", b"no zero", checksum=1))
    for data in (jpeg, png, encode(gradient(), "WEBP", exif=exif)):
        assert decode(data).size == (48, 64)


@settings(max_examples=100, deadline=None)
@given(st.sampled_from(["JPEG", "PNG", "WEBP"]), st.data())
def test_damaged_bytes_are_judged_alike_at_every_size(form: str, draw: st.DataObject) -> None:
    data = bytearray({"JPEG": LARGE["baseline"], "PNG": PNG, "WEBP": WEBP}[form])
    for _ in range(draw.draw(st.integers(1, 3))):
        data[draw.draw(st.integers(0, len(data) - 1))] = draw.draw(st.integers(0, 255))
    cut = bytes(data[: draw.draw(st.integers(1, len(data)))])
    assert len({usable(cut, short_side) for short_side in (1, 200, None)}) == 1


def usable(data: bytes, short_side: int | None) -> bool:
    try:
        decode(data, short_side)
    except BadImage:
        return False
    return True


@pytest.mark.parametrize(
    "name",
    [
        ".DS_Store",
        "._dog.jpg",
        "Thumbs.db",
        "thumbs.db",
        "ehthumbs.db",
        "desktop.ini",
        "Desktop.ini",
        "Icon\r",
        "__MACOSX",
        "@eaDir",
        "_$folder$",
        "beagle_$folder$",
    ],
)
def test_what_systems_write_is_left_out(name: str) -> None:
    assert is_left_out(name)


@pytest.mark.parametrize("name", ["dog.jpg", "README.md", "Thumbs.jpg", "__macos.png", "001.Affenpinscher"])
def test_what_a_user_writes_is_not_left_out(name: str) -> None:
    assert not is_left_out(name)


def test_the_files_of_a_channel(tmp_path: Path) -> None:
    inside = ("cat/b.PNG", "cat/a.jpg", "cat/Thumbs.db", "dog/notes.txt", "dog/more.jpg/c.jpg", "fox/.x.jpg")
    beside = ("__MACOSX/cat/a.jpg", ".cache/a.jpg", "README", "labels.csv", "cat_$folder$", "loose.webp")
    for name in inside + beside:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(b"x")
    found = list_photos(tmp_path)
    assert found.classes == {"cat": (tmp_path / "cat/a.jpg", tmp_path / "cat/b.PNG"), "dog": (), "fox": ()}
    assert found.misplaced == (tmp_path / "loose.webp",)
    assert found.foreign == (tmp_path / "dog/more.jpg", tmp_path / "dog/notes.txt")


def test_class_names() -> None:
    assert is_class_name("Bär")
    assert is_class_name("x" * 128)
    assert not any(is_class_name(name) for name in ("a\nb", "x" * 129, "é" * 65, "\udcff"))


def test_the_verdicts_of_a_data_set() -> None:
    good, bad, cut = Verdict(), Verdict(BadImage("Broken.")), Verdict(is_cut_short=True)
    found = Verdicts({"train/a/1": good, "train/a/2": bad, "train/b/1": cut, "valid/a/1": good})
    assert (list(found.left_out), found.cut_short, found.lost_class) == (["train/a/2"], ["train/b/1"], None)
    assert (found.are_too_many_left_out(0.25), found.are_too_many_left_out(0.24)) == (False, True)
    assert Verdicts({"train/a/1": good, "valid/a/1": bad, "valid/a/2": bad}).lost_class == "valid/a"

"""A layout that cannot be used for training is refused with one sentence that names the folder or file."""

import json
import os
import shutil
from pathlib import Path

import pytest

from ml.data import DataError, check_images, scan
from tests.unit.ml.damaged import encode, gradient
from tests.unit.ml.data import COLOURS, write_dataset, write_image


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return write_dataset(tmp_path, each=2)


def refusal_of(root: Path) -> str:
    with pytest.raises(DataError) as caught:
        scan(root)
    return str(caught.value)


def test_scan(root: Path) -> None:
    dataset = scan(root)
    assert dataset.classes == tuple(COLOURS)
    assert {name: len(split) for name, split in dataset.splits.items()} == {"train": 6, "valid": 6, "test": 6}
    assert dataset.splits["test"].labels == (0, 0, 1, 1, 2, 2)


def test_the_test_channel_is_optional_and_hidden_files_do_not_count(root: Path) -> None:
    shutil.rmtree(root / "test")
    (root / "train" / ".DS_Store").write_bytes(b"x")
    (root / "train" / "red" / ".hidden").write_bytes(b"x")
    assert list(scan(root).splits) == ["train", "valid"]


def test_digest_follows_content_and_names(root: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    first = scan(root).digest
    copy = tmp_path_factory.mktemp("other") / "data"
    shutil.copytree(root, copy)
    assert scan(copy).digest == first
    (copy / "train" / "red" / "0.png").rename(copy / "train" / "red" / "9.png")
    assert scan(copy).digest != first
    write_image(root / "valid" / "red" / "0.png", (1, 2, 3))
    assert scan(root).digest != first


@pytest.mark.parametrize("split", ["train", "valid"])
def test_a_missing_channel_is_named(root: Path, split: str) -> None:
    shutil.rmtree(root / split)
    assert refusal_of(root) == f"Channel '{split}' is missing; the job needs the channels train and valid."


@pytest.mark.parametrize("split", ["valid", "test"])
def test_a_class_that_a_split_lacks_is_named(root: Path, split: str) -> None:
    shutil.rmtree(root / split / "green")
    assert refusal_of(root) == f"Channel '{split}' lacks a class that 'train' has: 'green'."


def test_an_unknown_class_is_named(root: Path) -> None:
    write_image(root / "valid" / "pink" / "0.png", (250, 150, 150))
    assert refusal_of(root) == "Channel 'valid' has a class that 'train' does not have: 'pink'."


def test_many_unknown_classes_are_counted(root: Path) -> None:
    for index in range(5):
        write_image(root / "test" / f"new{index}" / "0.png", (1, 1, 1))
    assert refusal_of(root).endswith("'new0', 'new1', 'new2' and 2 more.")


def test_one_class_only_is_refused(tmp_path: Path) -> None:
    for split in ("train", "valid"):
        write_image(tmp_path / split / "red" / "0.png", (200, 0, 0))
    assert refusal_of(tmp_path) == "Channel 'train' has one class only, 'red'; a classifier needs at least two."


def test_an_empty_channel_and_an_empty_class_are_refused(root: Path) -> None:
    shutil.rmtree(root / "valid" / "red")
    (root / "valid" / "red").mkdir()
    assert refusal_of(root) == "The class folder valid/red is empty."
    shutil.rmtree(root / "valid")
    (root / "valid").mkdir()
    assert refusal_of(root).startswith("Channel 'valid' is empty")


def test_a_file_that_is_not_an_image_is_named(root: Path) -> None:
    (root / "train" / "red" / "notes.txt").write_text("hello")
    assert refusal_of(root).startswith("train/red/notes.txt is not an image file")


def test_a_file_outside_a_class_and_a_nested_folder_are_refused(root: Path) -> None:
    write_image(root / "train" / "red" / "more.png" / "0.png", (1, 1, 1))
    assert refusal_of(root).startswith("train/red/more.png is not an image file")
    write_image(root / "train" / "loose.png", (1, 1, 1))
    assert refusal_of(root) == "train/loose.png is not in a class folder; pictures belong in train/<class>/."


@pytest.mark.parametrize("content", [b"", b"hello", None])
def test_a_broken_image_is_named(root: Path, content: bytes | None) -> None:
    path = root / "valid" / "green" / "1.png"
    path.write_bytes(path.read_bytes()[:600] if content is None else content)
    with pytest.raises(DataError, match=r"^valid/green/1\.png cannot be used: The "):
        check_images(scan(root), 2, print)


def test_good_images_pass(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    check_images(scan(root), 2, print)
    assert capsys.readouterr().out == "checked images=18\n"


def test_files_of_systems_and_files_beside_the_class_folders_are_left_out(root: Path) -> None:
    before = scan(root)
    for name in (
        "README",
        "train/README.md",
        "train/labels.csv",
        "train/red_$folder$",
        "train/__MACOSX/red/._0.png",
        "valid/red/Thumbs.db",
        "valid/red/desktop.ini",
        "test/red/red_$folder$",
    ):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(b"x")
    assert scan(root) == before


def test_an_image_whose_name_is_not_utf_8_is_refused(root: Path) -> None:
    (root / "train" / "red" / "0.png").rename(root / "train" / "red" / os.fsdecode(b"\xff.png"))
    assert refusal_of(root) == (
        "train/red/\\udcff.png is not an image file (.jpg, .jpeg, .png, .webp) with a name in UTF-8."
    )


def test_a_class_name_that_is_not_printable_is_refused(root: Path) -> None:
    write_image(root / "train" / "a\nb" / "0.png", (1, 1, 1))
    assert refusal_of(root) == "The class name 'a\\nb' is not printable, or longer than 128 bytes."


def test_a_broken_image_is_left_out_and_named(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (root / "train" / "red" / "0.png").write_bytes(b"no image")
    before = scan(root)
    found = check_images(before, 2, print, 0.06, root / "report")
    assert capsys.readouterr().out.splitlines() == [
        "left out train/red/0.png: The data is not a JPEG, PNG or WebP image.",
        "checked images=18 left_out=1",
    ]
    assert json.loads((root / "report" / "photos.json").read_text()) == {
        "photos": 18,
        "left_out": {"train/red/0.png": "The data is not a JPEG, PNG or WebP image."},
        "cut_short": [],
    }
    assert (len(found.splits["train"]), found.splits["train"].labels) == (5, (0, 0, 1, 1, 2))
    assert found.splits["valid"] == before.splits["valid"]
    (root / "train" / "red" / "0.png").unlink()
    assert found == scan(root)


def test_an_image_that_is_cut_short_is_used_and_named(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    data = encode(gradient(), "JPEG")
    (root / "train" / "red" / "0.png").write_bytes(data[: len(data) * 9 // 10])
    before = scan(root)
    assert check_images(before, 2, print, 0.0, root / "report") == before
    assert capsys.readouterr().out.startswith("cut short train/red/0.png: ")
    assert json.loads((root / "report" / "photos.json").read_text())["cut_short"] == ["train/red/0.png"]


def test_too_many_broken_images_fail_the_job_and_are_all_named(root: Path) -> None:
    for name in ("red/0.png", "green/1.png"):
        (root / "train" / name).write_bytes(b"")
    with pytest.raises(DataError) as caught:
        check_images(scan(root), 2, print, 0.1, root)
    assert str(caught.value) == (
        "train/green/1.png cannot be used: The image is empty. That makes 2 of 18 pictures, more than the share 0.1 of "
        "the hyperparameter 'max-unusable-share'."
    )
    assert len(json.loads((root / "photos.json").read_text())["left_out"]) == 2


def test_a_class_of_which_every_image_is_broken_fails_the_job(root: Path) -> None:
    for index in range(2):
        (root / "valid" / "red" / f"{index}.png").write_bytes(b"x")
    with pytest.raises(DataError, match=r"^No picture of the class folder valid/red can be used; "):
        check_images(scan(root), 2, print, 0.5)

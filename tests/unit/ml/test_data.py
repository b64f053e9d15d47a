"""A layout that cannot be trained on is refused with one sentence that names the folder or file."""

import shutil
from pathlib import Path

import pytest

from ml.data import DataError, check_images, scan
from tests.unit.ml.data import COLOURS, write_dataset, write_image


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return write_dataset(tmp_path, each=2)


def refused(root: Path) -> str:
    with pytest.raises(DataError) as caught:
        scan(root)
    return str(caught.value)


def test_scan(root: Path) -> None:
    dataset = scan(root)
    assert dataset.classes == tuple(COLOURS)
    assert {name: len(split) for name, split in dataset.splits.items()} == {"train": 6, "valid": 6, "test": 6}
    assert dataset.splits["test"].labels == (0, 0, 1, 1, 2, 2)


def test_test_is_optional_and_hidden_files_do_not_count(root: Path) -> None:
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
def test_missing_channel(root: Path, split: str) -> None:
    shutil.rmtree(root / split)
    assert refused(root) == f"Channel '{split}' is missing; the job needs the channels train and valid."


@pytest.mark.parametrize("split", ["valid", "test"])
def test_class_missing_in_a_split(root: Path, split: str) -> None:
    shutil.rmtree(root / split / "green")
    assert refused(root) == f"Channel '{split}' lacks a class that 'train' has: 'green'."


def test_unknown_class(root: Path) -> None:
    write_image(root / "valid" / "pink" / "0.png", (250, 150, 150))
    assert refused(root) == "Channel 'valid' has a class that 'train' does not have: 'pink'."


def test_many_unknown_classes_are_counted(root: Path) -> None:
    for index in range(5):
        write_image(root / "test" / f"new{index}" / "0.png", (1, 1, 1))
    assert refused(root).endswith("'new0', 'new1', 'new2' and 2 more.")


def test_one_class_only(tmp_path: Path) -> None:
    for split in ("train", "valid"):
        write_image(tmp_path / split / "red" / "0.png", (200, 0, 0))
    assert refused(tmp_path) == "Channel 'train' has one class only, 'red'; a classifier needs at least two."


def test_empty_channel_and_empty_class(root: Path) -> None:
    shutil.rmtree(root / "valid" / "red")
    (root / "valid" / "red").mkdir()
    assert refused(root) == "The class folder valid/red is empty."
    shutil.rmtree(root / "valid")
    (root / "valid").mkdir()
    assert refused(root).startswith("Channel 'valid' is empty")


def test_not_an_image(root: Path) -> None:
    (root / "train" / "red" / "notes.txt").write_text("hello")
    assert refused(root).startswith("train/red/notes.txt is not an image file")


def test_file_outside_a_class_and_nested_folder(root: Path) -> None:
    write_image(root / "train" / "red" / "more.png" / "0.png", (1, 1, 1))
    assert refused(root).startswith("train/red/more.png is not an image file")
    write_image(root / "train" / "loose.png", (1, 1, 1))
    assert refused(root) == "train/loose.png is not in a class folder; pictures belong in train/<class>/."


@pytest.mark.parametrize("content", [b"", b"hello", None])
def test_broken_image_is_named(root: Path, content: bytes | None) -> None:
    path = root / "valid" / "green" / "1.png"
    path.write_bytes(path.read_bytes()[:600] if content is None else content)
    with pytest.raises(DataError, match=r"^valid/green/1\.png cannot be used: The "):
        check_images(scan(root), 2, print)


def test_good_images_pass(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    check_images(scan(root), 2, print)
    assert capsys.readouterr().out == "checked images=18\n"

"""Bad data sets: each must give one clear sentence that names the place."""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from PIL import Image

from infra.cli import main
from infra.data.dataset import load
from infra.data.layout import MAX_BYTES
from infra.errors import StepFailed
from ml.data import DataError, check_images, scan
from ml.photos import MAX_PIXELS_WHOLE
from tests.unit.infra.photos import write_photo, write_set
from tests.unit.ml.damaged import encode, gradient, harmless_jpegs, harmless_pngs, harmless_webps, multi_picture


def refusal(folder: Path) -> str:
    with pytest.raises(StepFailed) as caught:
        load(folder)
    assert caught.value.next_step
    return caught.value.reason


def test_a_right_set(tmp_path: Path) -> None:
    found = load(write_set(tmp_path, ("dog", "cat"), each=3))
    assert found.classes == ("cat", "dog")
    assert [len(found.split(name)) for name in ("train", "valid", "test")] == [6, 6, 6]
    assert found.photos[0].key == "train/cat/cat0.png"
    assert found.photos[0].content_type == "image/png"


def test_files_beside_the_class_folders_and_hidden_files_are_left_out(tmp_path: Path) -> None:
    write_set(tmp_path)
    for name in ("SOURCE.md", "train/labels.csv", "train/cat/.DS_Store", "valid/.cache/x", "test/dog/Thumbs.db"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("not a photo")
    assert len(load(tmp_path).photos) == 12


def test_the_digest_is_of_names_and_contents(tmp_path: Path) -> None:
    one = load(write_set(tmp_path / "one")).digest
    assert load(write_set(tmp_path / "two")).digest == one
    write_photo(tmp_path / "two" / "test" / "cat" / "cat0.png", shade=99)
    assert load(tmp_path / "two").digest != one
    (tmp_path / "one" / "test" / "cat" / "cat0.png").rename(tmp_path / "one" / "test" / "cat" / "cat9.png")
    assert load(tmp_path / "one").digest != one


def test_no_folder(tmp_path: Path) -> None:
    assert "There is no folder" in refusal(tmp_path / "none")


def test_a_missing_split(tmp_path: Path) -> None:
    shutil.rmtree(write_set(tmp_path) / "valid")
    assert "has no folder valid" in refusal(tmp_path)


def test_a_split_without_classes(tmp_path: Path) -> None:
    write_set(tmp_path)
    for folder in (tmp_path / "test").iterdir():
        shutil.rmtree(folder)
    assert refusal(tmp_path) == f"The folder {tmp_path / 'test'} has no class folders."


def test_a_class_missing_in_a_split(tmp_path: Path) -> None:
    shutil.rmtree(write_set(tmp_path) / "valid" / "dog")
    assert refusal(tmp_path) == "The split valid lacks 1 of the classes in train: dog."


def test_a_class_that_train_lacks(tmp_path: Path) -> None:
    write_photo(write_set(tmp_path) / "test" / "fox" / "fox.png")
    assert refusal(tmp_path) == "The split test has 1 classes that train lacks: fox."


def test_many_missing_classes_are_not_all_named(tmp_path: Path) -> None:
    write_set(tmp_path, tuple("abcdefgh"), each=1)
    for name in "abcdefg":
        shutil.rmtree(tmp_path / "valid" / name)
    assert refusal(tmp_path) == "The split valid lacks 7 of the classes in train: a, b, c, d, e, ...."


def test_one_class_only(tmp_path: Path) -> None:
    assert "only one class, cat" in refusal(write_set(tmp_path, ("cat",)))


def test_an_empty_class_folder(tmp_path: Path) -> None:
    for path in (write_set(tmp_path) / "train" / "dog").iterdir():
        path.unlink()
    assert refusal(tmp_path) == f"The class folder {tmp_path / 'train' / 'dog'} is empty."


@pytest.mark.parametrize("name", ["notes.txt", "photo.gif", "photo", "photo.jpg.zip"])
def test_a_file_that_is_no_photo(tmp_path: Path, name: str) -> None:
    path = write_set(tmp_path) / "train" / "dog" / name
    path.write_text("text")
    assert f"{path} is not a photo" in refusal(tmp_path)


@pytest.mark.parametrize("content", [b"", b"text", b"GIF89a", b"\xff\xd8"])
def test_a_photo_that_is_none(tmp_path: Path, content: bytes) -> None:
    path = write_set(tmp_path) / "train" / "dog" / "photo.jpg"
    path.write_bytes(content)
    assert refusal(tmp_path) == f"{path} does not hold a JPEG, PNG or WebP image."


def test_a_folder_among_the_photos(tmp_path: Path) -> None:
    (write_set(tmp_path) / "train" / "dog" / "puppies").mkdir()
    assert "is not a photo" in refusal(tmp_path)


def test_a_decompression_bomb(tmp_path: Path) -> None:
    write_photo(write_set(tmp_path) / "train" / "dog" / "bomb.png", side=int(MAX_PIXELS_WHOLE**0.5) + 1)
    assert "has more than 16,777,216 pixels" in refusal(tmp_path)


def test_an_unprintable_class(tmp_path: Path) -> None:
    assert "not printable" in refusal(write_set(tmp_path, ("cat", "do\ng")))


def test_check_says_what_is_there(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["data", "check", str(write_set(tmp_path))]) == 0
    assert "2 classes; photos: 4 train, 4 valid, 4 test" in " ".join(capsys.readouterr().out.split())
    shutil.rmtree(tmp_path / "test")
    assert main(["data", "check", str(tmp_path)]) == 1
    assert "Failed:" in capsys.readouterr().out


@contextmanager
def not_root() -> Iterator[None]:
    """Root reads whatever it likes; the threads of this process are nobody's while it is entered."""
    root = os.geteuid() == 0
    if root:
        os.seteuid(65534)
    try:
        yield
    finally:
        if root:
            os.seteuid(0)


@pytest.mark.parametrize("what", ["", "train", "valid/cat", "test/dog/dog0.png"])
def test_what_may_not_be_read(tmp_path: Path, what: str) -> None:
    folder = write_set(tmp_path / "set")
    for parent in tmp_path.parents:
        if parent.owner() == tmp_path.owner() and parent != Path(parent.anchor):
            parent.chmod(parent.stat().st_mode | 0o011)
    tmp_path.chmod(0o755)
    (folder / what).chmod(0)
    try:
        with not_root():
            assert refusal(folder).endswith("cannot be read: Permission denied.")
    finally:
        (folder / what).chmod(0o755)


def test_a_test_photo_that_is_too_large_for_an_endpoint(tmp_path: Path) -> None:
    photo = write_set(tmp_path) / "test" / "cat" / "cat0.png"
    with open(photo, "ab") as file:
        file.truncate(MAX_BYTES + 1)
    assert refusal(tmp_path).startswith(f"{photo} has 6,291,457 bytes; an endpoint")
    photo.replace(tmp_path / "train" / "cat" / "large.png")
    write_photo(photo)
    assert len(load(tmp_path).photos) == 13


def trained_with(folder: Path, max_share: float) -> list[str] | None:
    """The keys of the photos that the trainer uses, or None if the job fails."""
    try:
        splits = check_images(scan(folder), 2, lambda _: None, max_share).splits
    except DataError:
        return None
    return [path.relative_to(folder).as_posix() for split in splits.values() for path in split.files]


def checked(folder: Path, max_share: float) -> list[str] | None:
    """The keys of the photos that the check passes, or None if it refuses the data set."""
    try:
        return [photo.key for photo in load(folder, max_share).photos]
    except StepFailed:
        return None


JPEG, PNG, WEBP = (encode(gradient(), form) for form in ("JPEG", "PNG", "WEBP"))
FILES = {
    "README.md": b"x",
    "train/README.md": b"x",
    "train/cat_$folder$": b"",
    "train/__MACOSX/cat/._cat0.png": b"x",
    "train/cat/Thumbs.db": b"x",
    "valid/dog/desktop.ini": b"x",
    "test/dog/dog_$folder$": b"",
    "train/cat/mpo.jpg": multi_picture(6000, 4000),
    "train/cat/cut.jpg": JPEG[: len(JPEG) * 9 // 10],
    "train/dog/half.jpg": JPEG[:400],
    "train/dog/empty.png": b"",
    "train/dog/text.webp": b"text",
    "train/dog/gif.png": encode(gradient(), "GIF"),
    "train/dog/cut.png": PNG[:-60],
    "train/dog/cut.webp": WEBP[:60],
    "train/dog/animated.png": encode(gradient(), "PNG", save_all=True, append_images=[Image.new("RGB", (64, 48))]),
    "train/dog/notes.txt": b"x",
    "train/dog/photo.gif": b"x",
    "train/dog/deep/photo.jpg": JPEG,
    "train/loose.jpg": JPEG,
    "train/do\ng/a.jpg": JPEG,
    "train/fox/a.jpg": JPEG,
}


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize("max_share", [0.0, 0.1])
def test_the_check_and_the_trainer_judge_alike(tmp_path: Path, name: str, max_share: float) -> None:
    path = write_set(tmp_path) / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(FILES[name])
    assert checked(tmp_path, max_share) == trained_with(tmp_path, max_share)


def test_metadata_that_is_wrong_passes_the_check_and_trains(tmp_path: Path) -> None:
    write_set(tmp_path)
    found = {"png": harmless_pngs(PNG), "jpg": harmless_jpegs(JPEG), "webp": harmless_webps(WEBP)}
    for ending, several in found.items():
        for index, (_, content) in enumerate(several):
            (tmp_path / "train" / "cat" / f"{index}.{ending}").write_bytes(content)
    assert not any(remark.startswith("Left out") for remark in load(tmp_path, 0.0).remarks)
    assert checked(tmp_path, 0.0) == trained_with(tmp_path, 0.0)


def test_what_cannot_be_used_is_left_out_and_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_set(tmp_path, each=10)
    (tmp_path / "train" / "dog" / "broken.jpg").write_bytes(b"text")
    (tmp_path / "train" / "cat" / "cut.jpg").write_bytes(JPEG[: len(JPEG) * 9 // 10])
    found = load(tmp_path)
    assert len(found.photos) == 61
    assert found.remarks == (
        "Left out train/dog/broken.jpg: The data is not a JPEG, PNG or WebP image.",
        "train/cat/cut.jpg is cut short: the part that is there is used.",
    )
    assert main(["data", "check", str(tmp_path)]) == 0
    said = " ".join(capsys.readouterr().out.split())
    assert [remark for remark in found.remarks if remark not in said] == []


def test_a_class_of_which_no_photo_can_be_used(tmp_path: Path) -> None:
    write_set(tmp_path, each=10)
    for path in (tmp_path / "test" / "dog").iterdir():
        path.write_bytes(b"text")
    with pytest.raises(StepFailed) as caught:
        load(tmp_path, 0.5)
    assert caught.value.reason == f"No photo in {tmp_path / 'test' / 'dog'} can be used."


def test_a_photo_whose_name_is_not_utf_8(tmp_path: Path) -> None:
    folder = write_set(tmp_path) / "train" / "dog"
    (folder / "dog0.png").rename(folder / os.fsdecode(b"\xff.png"))
    assert refusal(tmp_path).startswith(f"{folder}/\\udcff.png is not a photo")

"""Finds the labelled pictures: SageMaker channels that hold one folder for each class.

The layout is checked before the training starts. This module imports no torch, and only `check_images` decodes
pictures, so that a wrong layout fails the job within a second.
"""

import hashlib
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from ml.errors import JobError
from ml.preprocess import BadImage, decode

REQUIRED_SPLITS = ("train", "valid")
OPTIONAL_SPLITS = ("test",)
SUFFIXES = (".jpg", ".jpeg", ".png", ".webp")


class DataError(JobError):
    """The data cannot be used for training; the message is one clear sentence that names the folder or file."""


@dataclass(frozen=True)
class Split:
    """One channel: its pictures in a fixed order, and the class number of each picture."""

    name: str
    files: tuple[Path, ...]
    labels: tuple[int, ...]

    def __len__(self) -> int:
        return len(self.files)

    def picked(self, indices: Iterable[int]) -> "Split":
        """A split of the pictures with these numbers, in this order."""
        chosen = list(indices)
        return Split(self.name, tuple(self.files[i] for i in chosen), tuple(self.labels[i] for i in chosen))


@dataclass(frozen=True)
class Dataset:
    """The splits by name ("test" may be absent), the classes in the order of the labels, and a digest of all files."""

    classes: tuple[str, ...]
    splits: Mapping[str, Split]
    digest: str


def scan(root: Path) -> Dataset:
    """The dataset in `root` (/opt/ml/input/data). Raises DataError for a layout that cannot be used for training."""
    folders = {name: _class_folders(root, name) for name in _present(root)}
    classes = tuple(folders["train"])
    if len(classes) < 2:
        raise DataError(f"Channel 'train' has one class only, '{classes[0]}'; a classifier needs at least two.")
    splits = {name: _split(name, found, classes) for name, found in folders.items()}
    return Dataset(classes, splits, _digest(root, splits))


def check_images(dataset: Dataset, workers: int, say: Callable[[str], None]) -> None:
    """Decodes every picture once, so that a broken picture fails the job now and not after hours. Raises DataError."""
    files = [path for split in dataset.splits.values() for path in split.files]
    with ThreadPoolExecutor(workers) as pool:
        for _ in pool.map(_check, files):
            pass
    say(f"checked images={len(files)}")


def bad_image(path: Path, error: BadImage) -> DataError:
    """The error for a broken picture; it names the file as channel/class/name."""
    return DataError(f"{'/'.join(path.parts[-3:])} cannot be used: {error}")


def _check(path: Path) -> None:
    try:
        decode(path.read_bytes(), short_side=32)
    except BadImage as error:
        raise bad_image(path, error) from error


def _present(root: Path) -> list[str]:
    for name in REQUIRED_SPLITS:
        if not (root / name).is_dir():
            raise DataError(f"Channel '{name}' is missing; the job needs the channels {' and '.join(REQUIRED_SPLITS)}.")
    return [*REQUIRED_SPLITS, *(name for name in OPTIONAL_SPLITS if (root / name).is_dir())]


def _visible(folder: Path) -> list[Path]:
    """The content of a folder by name, without hidden files such as .DS_Store."""
    return sorted((path for path in folder.iterdir() if not path.name.startswith(".")), key=lambda path: path.name)


def _class_folders(root: Path, split: str) -> dict[str, list[Path]]:
    """Class name -> its pictures, by name. Raises DataError unless every class folder holds only pictures."""
    found = {}
    for folder in _visible(root / split):
        if not folder.is_dir():
            raise DataError(f"{split}/{folder.name} is not in a class folder; pictures belong in {split}/<class>/.")
        files = _visible(folder)
        for path in files:
            if path.suffix.lower() not in SUFFIXES or not path.is_file():
                raise DataError(f"{split}/{folder.name}/{path.name} is not an image file ({', '.join(SUFFIXES)}).")
        if not files:
            raise DataError(f"The class folder {split}/{folder.name} is empty.")
        found[folder.name] = files
    if not found:
        raise DataError(f"Channel '{split}' is empty; it must hold one folder of pictures for each class.")
    return found


def _split(name: str, folders: Mapping[str, list[Path]], classes: tuple[str, ...]) -> Split:
    if unknown := sorted(set(folders) - set(classes)):
        raise DataError(f"Channel '{name}' has a class that 'train' does not have: {_some(unknown)}.")
    if missing := sorted(set(classes) - set(folders)):
        raise DataError(f"Channel '{name}' lacks a class that 'train' has: {_some(missing)}.")
    pairs = [(path, label) for label, kind in enumerate(classes) for path in folders[kind]]
    return Split(name, tuple(path for path, _ in pairs), tuple(label for _, label in pairs))


def _some(names: list[str]) -> str:
    shown = ", ".join(f"'{name}'" for name in names[:3])
    return shown if len(names) <= 3 else f"{shown} and {len(names) - 3} more"


def _digest(root: Path, splits: Mapping[str, Split]) -> str:
    """SHA-256 over the relative path and the content of each file, in a fixed order: equal data has an equal digest."""
    total = hashlib.sha256()
    for split in splits.values():
        for path in split.files:
            content = hashlib.sha256(path.read_bytes()).hexdigest()
            total.update(f"{path.relative_to(root).as_posix()}\0{content}\n".encode())
    return "sha256:" + total.hexdigest()

"""Finds the labelled pictures: SageMaker channels that hold one folder for each class.

The layout is checked before the training starts. This module imports no torch, and only `check_images` decodes
pictures, so that a wrong layout fails the job within a second. What a photo is, ml/photos.py says.
"""

import hashlib
import json
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from pathlib import Path

from ml.config import MAX_UNUSABLE_SHARE
from ml.errors import JobError
from ml.photos import (
    CONTENT_TYPES,
    MAX_CLASS_BYTES,
    BadImage,
    Listing,
    Verdicts,
    is_class_name,
    judge,
    list_photos,
    shown,
)

REQUIRED_SPLITS = ("train", "valid")
OPTIONAL_SPLITS = ("test",)
REPORT_FILE = "photos.json"


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
    """The splits by name ("test" may be absent), the classes in the order of the labels, and a digest of all files; the
    SHA-256 of each file by its key. Without photos it only tells their names: `has_photos` is False."""

    classes: tuple[str, ...]
    splits: Mapping[str, Split]
    digest: str
    digests: Mapping[str, str] = field(default_factory=dict)
    has_photos: bool = True

    def keys(self) -> list[str]:
        """`split/class/name` of every picture, in the order of the splits."""
        return [_key(path) for split in self.splits.values() for path in split.files]


def scan(root: Path) -> Dataset:
    """The dataset in `root` (/opt/ml/input/data). Raises DataError for a layout that cannot be used for training."""
    folders = {name: _class_folders(name, list_photos(root / name)) for name in _present(root)}
    classes = tuple(folders["train"])
    if len(classes) < 2:
        raise DataError(f"Channel 'train' has one class only, '{classes[0]}'; a classifier needs at least two.")
    splits = {name: _split(name, found, classes) for name, found in folders.items()}
    digests = {_key(path): _sha256(path) for split in splits.values() for path in split.files}
    return Dataset(classes, splits, digest_of(splits, digests), digests)


def check_images(
    dataset: Dataset,
    workers: int,
    say: Callable[[str], None],
    max_unusable_share: float = MAX_UNUSABLE_SHARE,
    report: Path | None = None,
) -> Dataset:
    """Decodes every picture once, and leaves out those that cannot be used, as `leave_out` does."""
    return leave_out(dataset, judge_all(dataset, workers), say, max_unusable_share, report)


def judge_all(dataset: Dataset, workers: int) -> Verdicts:
    """Decodes every picture once: how far each can be used. `workers` is the number of threads."""
    files = [path for split in dataset.splits.values() for path in split.files]
    with ThreadPoolExecutor(workers) as pool:
        return Verdicts(dict(zip(map(_key, files), pool.map(judge, files), strict=True)))


def leave_out(
    dataset: Dataset,
    verdicts: Verdicts,
    say: Callable[[str], None],
    max_unusable_share: float = MAX_UNUSABLE_SHARE,
    report: Path | None = None,
) -> Dataset:
    """The dataset of the pictures that can be used: the same on every host.

    Names in the log the pictures that are left out or cut short, and writes them into the folder `report` as
    photos.json. Raises DataError when more than `max_unusable_share` (0 to 1) of all is left out, or all of a class.
    """
    for key, error in verdicts.left_out.items():
        say(f"left out {key}: {error}")
    for key in verdicts.cut_short:
        say(f"cut short {key}: the part that is there is used")
    if report:
        _write_report(verdicts, report / REPORT_FILE)
    _refuse_too_few(verdicts, max_unusable_share)
    say(f"checked images={len(verdicts.by_key)}" + (f" left_out={len(verdicts.left_out)}" if verdicts.left_out else ""))
    return _without(dataset, verdicts.left_out) if verdicts.left_out else dataset


def bad_image(path: Path, error: BadImage) -> DataError:
    """The error for a broken picture; it names the file as channel/class/name."""
    return DataError(f"{_key(path)} cannot be used: {error}")


def _key(path: Path) -> str:
    """The name of a picture in the dataset: channel/class/name."""
    return "/".join(path.parts[-3:])


def _write_report(verdicts: Verdicts, path: Path) -> None:
    left_out = {key: str(error) for key, error in verdicts.left_out.items()}
    content = {"photos": len(verdicts.by_key), "left_out": left_out, "cut_short": verdicts.cut_short}
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")


def _refuse_too_few(verdicts: Verdicts, max_share: float) -> None:
    if verdicts.are_too_many_left_out(max_share):
        key, error = next(iter(verdicts.left_out.items()))
        count = f"{len(verdicts.left_out)} of {len(verdicts.by_key)} pictures"
        raise DataError(
            f"{key} cannot be used: {error} That makes {count}, more than the share {max_share} of the hyperparameter "
            "'max-unusable-share'."
        )
    if name := verdicts.lost_class:
        raise DataError(f"No picture of the class folder {name} can be used; the log says why of each.")


def _without(dataset: Dataset, left_out: Collection[str]) -> Dataset:
    splits = {
        name: split.picked(index for index, path in enumerate(split.files) if _key(path) not in left_out)
        for name, split in dataset.splits.items()
    }
    digests = {key: digest for key, digest in dataset.digests.items() if key not in left_out}
    return replace(dataset, splits=splits, digest=digest_of(splits, digests), digests=digests)


def _present(root: Path) -> list[str]:
    for name in REQUIRED_SPLITS:
        if not (root / name).is_dir():
            raise DataError(f"Channel '{name}' is missing; the job needs the channels {' and '.join(REQUIRED_SPLITS)}.")
    return [*REQUIRED_SPLITS, *(name for name in OPTIONAL_SPLITS if (root / name).is_dir())]


def _class_folders(split: str, listing: Listing) -> Mapping[str, tuple[Path, ...]]:
    """Class name -> its pictures, by name. Raises DataError unless every class folder holds only pictures."""
    for path in listing.misplaced:
        raise DataError(f"{split}/{path.name} is not in a class folder; pictures belong in {split}/<class>/.")
    for path in listing.foreign:
        endings = ", ".join(CONTENT_TYPES)
        raise DataError(f"{shown(_key(path))} is not an image file ({endings}) with a name in UTF-8.")
    for name, files in listing.classes.items():
        if not is_class_name(name):
            raise DataError(f"The class name {name!r} is not printable, or longer than {MAX_CLASS_BYTES} bytes.")
        if not files:
            raise DataError(f"The class folder {split}/{name} is empty.")
    if not listing.classes:
        raise DataError(f"Channel '{split}' is empty; it must hold one folder of pictures for each class.")
    return listing.classes


def _split(name: str, folders: Mapping[str, Sequence[Path]], classes: tuple[str, ...]) -> Split:
    if unknown := sorted(set(folders) - set(classes)):
        raise DataError(f"Channel '{name}' has a class that 'train' does not have: {_some(unknown)}.")
    if missing := sorted(set(classes) - set(folders)):
        raise DataError(f"Channel '{name}' lacks a class that 'train' has: {_some(missing)}.")
    pairs = [(path, label) for label, kind in enumerate(classes) for path in folders[kind]]
    return Split(name, tuple(path for path, _ in pairs), tuple(label for _, label in pairs))


def _some(names: list[str]) -> str:
    first = ", ".join(f"'{name}'" for name in names[:3])
    return first if len(names) <= 3 else f"{first} and {len(names) - 3} more"


def digest_of(splits: Mapping[str, Split], digests: Mapping[str, str]) -> str:
    """SHA-256 over the relative path and the SHA-256 of each file, in a fixed order: equal data has an equal digest."""
    total = hashlib.sha256()
    for split in splits.values():
        for key in map(_key, split.files):
            total.update(f"{key}\0{digests[key]}\n".encode())
    return "sha256:" + total.hexdigest()


def _sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()

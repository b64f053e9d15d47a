"""Reads a folder of photos in SageMaker's channel layout, and says in one sentence what is wrong with one that is not.

`<folder>/{train,valid,test}/<class>/<photo>`. What a photo is and how far a damaged one is used, ml/photos.py says, as
for the trainer: what passes here trains there.
"""

import hashlib
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from infra.data.layout import MAX_BYTES, SPLITS
from infra.errors import StepFailed
from ml.config import MAX_UNUSABLE_SHARE
from ml.photos import (
    CONTENT_TYPES,
    MAX_CLASS_BYTES,
    BadImage,
    Listing,
    NotAnImage,
    TooManyPixels,
    Verdicts,
    is_class_name,
    judge,
    list_photos,
    shown,
)

_LAYOUT = "Lay it out as DATA/{train,valid,test}/<class>/<photo>, with the same classes in each."


@dataclass(frozen=True)
class Photo:
    """One file. `key` is its path inside the data set, with slashes."""

    path: Path
    key: str
    split: str
    label: str

    @property
    def content_type(self) -> str:
        return CONTENT_TYPES[self.path.suffix.lower()]


@dataclass(frozen=True)
class Dataset:
    """A checked data set; `classes` are sorted, which is the order of the model's outputs too. `photos` are those that
    can be used, and `remarks` name those that cannot, and those that are cut short, in a sentence each."""

    folder: Path
    classes: tuple[str, ...]
    photos: tuple[Photo, ...]
    remarks: tuple[str, ...] = ()

    def __str__(self) -> str:
        counts = ", ".join(f"{len(self.split(name)):,} {name}" for name in SPLITS)
        return f"{len(self.classes)} classes; photos: {counts}"

    def split(self, name: str) -> tuple[Photo, ...]:
        """The photos of train, valid or test."""
        return tuple(photo for photo in self.photos if photo.split == name)

    @property
    def sample(self) -> bytes:
        """The first photo to train with."""
        return self.split("train")[0].path.read_bytes()

    @cached_property
    def digests(self) -> Mapping[str, str]:
        """SHA-256 in hex by key."""
        with ThreadPoolExecutor(4) as pool:
            found = pool.map(lambda photo: hashlib.sha256(photo.path.read_bytes()).hexdigest(), self.photos)
            return dict(zip((photo.key for photo in self.photos), found, strict=True))

    @property
    def digest(self) -> str:
        """SHA-256 of the whole set: of every key and content, whatever the order on disk."""
        lines = (f"{digest}  {key}\n" for key, digest in sorted(self.digests.items()))
        return hashlib.sha256("".join(lines).encode()).hexdigest()


def load(folder: Path, max_unusable_share: float = MAX_UNUSABLE_SHARE) -> Dataset:
    """The data set in `folder`, every photo decoded. Raises StepFailed with the first thing that is wrong, and when
    more than `max_unusable_share` (0 to 1) of the photos cannot be used."""
    try:
        return _load(folder, max_unusable_share)
    except OSError as error:
        raise StepFailed(f"{error.filename or folder} cannot be read: {error.strerror}.", "Mend it.") from error


def _load(folder: Path, max_share: float) -> Dataset:
    if not folder.is_dir():
        raise StepFailed(f"There is no folder {folder}.", _LAYOUT)
    by_split = {split: _list(folder, split) for split in SPLITS}
    classes = tuple(by_split["train"].classes)
    for split in SPLITS[1:]:
        _compare(classes, tuple(by_split[split].classes), split)
    if len(classes) < 2:
        raise StepFailed(f"There is only one class, {classes[0]}: nothing to tell apart.", "Add a second class folder.")
    photos = [
        Photo(path, f"{split}/{label}/{path.name}", split, label)
        for split, listing in by_split.items()
        for label in classes
        for path in _photos(folder / split / label, listing)
    ]
    for photo in photos:
        if photo.split == "test":
            _check_size(photo.path)
    with ThreadPoolExecutor() as pool:
        judged = pool.map(judge, (photo.path for photo in photos))
        verdicts = Verdicts(dict(zip((photo.key for photo in photos), judged, strict=True)))
    _refuse_too_few(folder, verdicts, max_share)
    usable = tuple(photo for photo in photos if photo.key not in verdicts.left_out)
    return Dataset(folder, classes, usable, tuple(_remarks(verdicts)))


def _refuse_too_few(folder: Path, verdicts: Verdicts, max_share: float) -> None:
    if verdicts.are_too_many_left_out(max_share):
        key, error = next(iter(verdicts.left_out.items()))
        raise StepFailed(
            _sentence(folder / key, error),
            f"{len(verdicts.left_out)} of {len(verdicts.by_key)} photos cannot be used, more than the trainer's "
            f"hyperparameter max-unusable-share allows ({max_share}): mend or remove them.",
        )
    if name := verdicts.lost_class:
        raise StepFailed(
            f"No photo in {folder / name} can be used.", "Mend them, or remove the class from every split."
        )


def _remarks(verdicts: Verdicts) -> Iterator[str]:
    for key, error in verdicts.left_out.items():
        yield f"Left out {key}: {error}"
    for key in verdicts.cut_short:
        yield f"{key} is cut short: the part that is there is used."


def _sentence(path: Path, error: BadImage) -> str:
    match error:
        case NotAnImage():
            return f"{path} does not hold a JPEG, PNG or WebP image."
        case TooManyPixels(limit=limit):
            return f"{path} has more than {limit:,} pixels."
    return f"{path} cannot be used: {error}"


def _list(folder: Path, split: str) -> Listing:
    """The files of a split, whose class folders have names that can be used."""
    if not (folder / split).is_dir():
        raise StepFailed(f"The data set {folder} has no folder {split}.", _LAYOUT)
    listing = list_photos(folder / split)
    if not listing.classes:
        raise StepFailed(f"The folder {folder / split} has no class folders.", _LAYOUT)
    for path in listing.misplaced:
        raise StepFailed(f"{path} is a photo beside the class folders.", "Move it into the folder of its class.")
    for name in listing.classes:
        if not is_class_name(name):
            raise StepFailed(
                f"The class name {name!r} is not printable, or longer than {MAX_CLASS_BYTES} bytes.",
                "Rename the folder.",
            )
    return listing


def _compare(train: tuple[str, ...], other: tuple[str, ...], split: str) -> None:
    if missing := sorted(set(train) - set(other)):
        reason = f"The split {split} lacks {len(missing)} of the classes in train: {_some(missing)}."
        raise StepFailed(reason, f"Add photos of each to {split}, or take the class out of train.")
    if extra := sorted(set(other) - set(train)):
        reason = f"The split {split} has {len(extra)} classes that train lacks: {_some(extra)}."
        raise StepFailed(reason, "Add photos of each to train: a model cannot know what it never saw.")


def _photos(folder: Path, listing: Listing) -> tuple[Path, ...]:
    for path in listing.foreign:
        if path.parent == folder:
            raise StepFailed(
                f"{shown(path)} is not a photo: {', '.join(CONTENT_TYPES)} files with names in UTF-8 are.",
                "Move it out of the class folder.",
            )
    photos = listing.classes[folder.name]
    if not photos:
        raise StepFailed(f"The class folder {folder} is empty.", "Add photos, or remove the class from every split.")
    return photos


def _check_size(path: Path) -> None:
    if (size := path.stat().st_size) > MAX_BYTES:
        raise StepFailed(
            f"{path} has {size:,} bytes; an endpoint, which is asked about photos of test, takes {MAX_BYTES:,}.",
            "Scale it down, or move it to train.",
        )


def _some(names: list[str]) -> str:
    return ", ".join(names[:5]) + (", ..." if len(names) > 5 else "")

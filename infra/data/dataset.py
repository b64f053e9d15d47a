"""Reads a folder of photos in SageMaker's channel layout, and says in one sentence what is wrong with one that is not.

`<folder>/{train,valid,test}/<class>/<photo>`. Files beside the class folders (a README, a manifest) and hidden files
are left out.
"""

import hashlib
import warnings
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from PIL import Image, UnidentifiedImageError

from infra.data.layout import CONTENT_TYPES, MAX_BYTES, SPLITS
from infra.errors import StepFailed

MAX_PIXELS_JPEG, MAX_PIXELS = 50_000_000, 4096 * 4096  # as the trainer and the endpoint accept
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
    """A checked data set; `classes` are sorted, which is the order of the model's outputs too."""

    folder: Path
    classes: tuple[str, ...]
    photos: tuple[Photo, ...]

    def __str__(self) -> str:
        counts = ", ".join(f"{len(self.split(name)):,} {name}" for name in SPLITS)
        return f"{len(self.classes)} classes; photos: {counts}"

    def split(self, name: str) -> tuple[Photo, ...]:
        """The photos of train, valid or test."""
        return tuple(photo for photo in self.photos if photo.split == name)

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


def load(folder: Path) -> Dataset:
    """The data set in `folder`, every file looked at. Raises StepFailed with the first thing that is wrong."""
    try:
        return _load(folder)
    except OSError as error:
        raise StepFailed(f"{error.filename or folder} cannot be read: {error.strerror}.", "Mend it.") from error


def _load(folder: Path) -> Dataset:
    if not folder.is_dir():
        raise StepFailed(f"There is no folder {folder}.", _LAYOUT)
    by_split = {split: _classes(folder, split) for split in SPLITS}
    classes = by_split["train"]
    for split in SPLITS[1:]:
        _compare(classes, by_split[split], split)
    if len(classes) < 2:
        raise StepFailed(f"There is only one class, {classes[0]}: nothing to tell apart.", "Add a second class folder.")
    photos = [
        Photo(path, f"{split}/{label}/{path.name}", split, label)
        for split in SPLITS
        for label in classes
        for path in _photos(folder / split / label)
    ]
    for photo in photos:
        if photo.split == "test":
            _check_size(photo.path)
    return Dataset(folder, classes, tuple(photos))


def _classes(folder: Path, split: str) -> tuple[str, ...]:
    if not (folder / split).is_dir():
        raise StepFailed(f"The data set {folder} has no folder {split}.", _LAYOUT)
    names = sorted(entry.name for entry in (folder / split).iterdir() if entry.is_dir() and not _is_hidden(entry))
    if not names:
        raise StepFailed(f"The folder {folder / split} has no class folders.", _LAYOUT)
    for name in names:
        if not name.isprintable() or len(name.encode()) > 128:
            raise StepFailed(
                f"The class name {name!r} is not printable, or longer than 128 bytes.", "Rename the folder."
            )
    return tuple(names)


def _compare(train: tuple[str, ...], other: tuple[str, ...], split: str) -> None:
    if missing := sorted(set(train) - set(other)):
        reason = f"The split {split} lacks {len(missing)} of the classes in train: {_some(missing)}."
        raise StepFailed(reason, f"Add photos of each to {split}, or take the class out of train.")
    if extra := sorted(set(other) - set(train)):
        reason = f"The split {split} has {len(extra)} classes that train lacks: {_some(extra)}."
        raise StepFailed(reason, "Add photos of each to train: a model cannot know what it never saw.")


def _photos(folder: Path) -> list[Path]:
    files = sorted(entry for entry in folder.iterdir() if not _is_hidden(entry))
    if not files:
        raise StepFailed(f"The class folder {folder} is empty.", "Add photos, or remove the class from every split.")
    for path in files:
        _check_photo(path)
    return files


def _check_size(path: Path) -> None:
    if (size := path.stat().st_size) > MAX_BYTES:
        raise StepFailed(
            f"{path} has {size:,} bytes; an endpoint, which is asked about photos of test, takes {MAX_BYTES:,}.",
            "Scale it down, or move it to train.",
        )


def _check_photo(path: Path) -> None:
    """The header only, which is quick; the trainer decodes every pixel."""
    if not path.is_file() or path.suffix.lower() not in CONTENT_TYPES:
        raise StepFailed(
            f"{path} is not a photo: {', '.join(CONTENT_TYPES)} files are.", "Move it out of the class folder."
        )
    try:
        with warnings.catch_warnings(action="ignore"), Image.open(path, formats=("JPEG", "PNG", "WEBP")) as image:
            pixels = image.width * image.height
            limit = MAX_PIXELS_JPEG if image.format == "JPEG" else MAX_PIXELS
    except Image.DecompressionBombError:
        pixels, limit = MAX_PIXELS + 1, MAX_PIXELS  # Pillow found it too large to name a size
    except UnidentifiedImageError:
        raise StepFailed(f"{path} does not hold a JPEG, PNG or WebP image.", "Mend it or remove it.") from None
    if pixels > limit:
        raise StepFailed(f"{path} has more than {limit:,} pixels.", "Scale it down or remove it.")


def _is_hidden(path: Path) -> bool:
    return path.name.startswith(".") or path.name in ("Thumbs.db", "__MACOSX")


def _some(names: list[str]) -> str:
    return ", ".join(names[:5]) + (", ..." if len(names) > 5 else "")

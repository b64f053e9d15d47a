"""The photos of a data set by name and digest, as a file of features tells them: so that a job that trains on features
alone needs no photo, and the jobs of a search download one archive in the place of all photos.

It imports no torch: a job reads it before it begins.
"""

import json
import struct
import tarfile
import zlib
from collections.abc import Mapping
from pathlib import Path, PurePosixPath
from typing import IO, Any

from ml.data import DataError, Dataset, Split, digest_of
from ml.photos import shown

CHANNEL = "features"
ARCHIVE = "model.tar.gz"
FILE = "features.safetensors"
MAX_HEADER_BYTES = 100_000_000  # safetensors' own limit
_BROKEN = (OSError, EOFError, ValueError, LookupError, TypeError, AttributeError, tarfile.TarError, zlib.error)


def described(dataset: Dataset) -> dict[str, Any]:
    """The classes, and for each photo `split/class/name` its SHA-256, as JSON can hold them."""
    photos = {key: dataset.digests[key] for key in dataset.keys()}  # noqa: SIM118 - a dataset is not a dict
    return {"classes": list(dataset.classes), "photos": photos}


def has_features_only(data: Path) -> bool:
    """Whether a job whose channels lie in the folder `data` has features and no photos to train with."""
    return (data / CHANNEL).is_dir() and not (data / "train").exists()


def dataset_of(channel: Path) -> Dataset:
    """The data set that the features in a channel were computed from, without its photos. Raises DataError."""
    try:
        return _dataset(json.loads(_metadata(channel)["content"])["dataset"])
    except _BROKEN as error:
        reason = shown(str(error)) or type(error).__name__
        raise DataError(
            f"Channel '{CHANNEL}' tells no photos ({reason}), and the job has no channel 'train'."
        ) from error


def member_name(member: tarfile.TarInfo) -> str:
    """Of a file in an archive; `tar -C model .` writes ./model.onnx."""
    return str(PurePosixPath(member.name))


def _metadata(channel: Path) -> Mapping[str, str]:
    """That of the file of features in the channel, or in the archive there, of which no more is read."""
    archive = channel / ARCHIVE
    if not archive.is_file():
        with (channel / FILE).open("rb") as file:
            return _header(file)
    with tarfile.open(archive) as files:
        for member in files:
            if member_name(member) == FILE and (content := files.extractfile(member)):
                return _header(content)
    raise KeyError(FILE)


def _header(file: IO[bytes]) -> Mapping[str, str]:
    """`__metadata__` of a safetensors file (https://huggingface.co/docs/safetensors/index#format)."""
    (size,) = struct.unpack("<Q", file.read(8).ljust(8, b"\0"))
    if size > MAX_HEADER_BYTES:
        raise ValueError(f"a header of {size} bytes")
    found: Mapping[str, str] = json.loads(file.read(size))["__metadata__"]
    return found


def _dataset(content: Mapping[str, Any]) -> Dataset:
    classes, digests = tuple(content["classes"]), dict(content["photos"])
    labels = {name: number for number, name in enumerate(classes)}
    files: dict[str, list[Path]] = {}
    for key in digests:
        files.setdefault(key.partition("/")[0], []).append(Path(key))
    splits = {
        name: Split(name, tuple(paths), tuple(labels[path.parts[1]] for path in paths)) for name, paths in files.items()
    }
    return Dataset(classes, splits, digest_of(splits, digests), digests, has_photos=False)

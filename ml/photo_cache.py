"""Keeps the training photos decoded and small, so that an epoch after the first one only crops and mirrors them.

A small photo is a function of its file and of the config alone. So the weights are the same wherever a photo is kept,
and also when it is not kept and has to be decoded in each epoch: the room decides nothing but the speed.
"""

import math
import os
import tempfile
import threading
import weakref
import zlib
from dataclasses import dataclass
from pathlib import Path

from PIL import Image

from ml.config import Config
from ml.data import Split, bad_image
from ml.memory import DISK_SHARE, MEMORY_SHARE, Room
from ml.photos import BadImage, decode
from ml.preprocess import INTERPOLATIONS, Preprocessing

_MIN_CROP = 0.5  # (ours) the share of the area from which on a crop of a small photo is sharp enough


def short_side(config: Config, preprocessing: Preprocessing) -> int:
    """The short side of a small photo, in pixels: that of the evaluation, or more where crops may be smaller than half
    of the area, so that these are not blurred."""
    return round(preprocessing.resize * math.sqrt(max(1.0, _MIN_CROP / config.min_crop)))


@dataclass(frozen=True)
class _OnDisk:
    """Where the pixels of a photo lie in the temporary file, and their checksum."""

    offset: int
    size: tuple[int, int]
    crc: int


class PhotoCache:
    """The small photos of a split by number, for any number of threads.

    Each is decoded when it is first asked for, and kept in memory while there is room, then in a temporary file that
    ends with the process; what finds no room is decoded each time."""

    def __init__(self, split: Split, side: int, preprocessing: Preprocessing, room: Room) -> None:
        self.split = split
        self._side, self._preprocessing, self._room = side, preprocessing, room
        self._lock = threading.Lock()
        self._memory: dict[int, tuple[tuple[int, int], bytes]] = {}
        self._disk: dict[int, _OnDisk] = {}
        self._no_room: set[int] = set()
        self._memory_bytes = self._disk_bytes = 0
        self._file: int | None = None

    def photo(self, number: int) -> Image.Image:
        """The photo in RGB, its short side at most that of the cache. Raises DataError, which names a broken file."""
        if kept := self._memory.get(number) or self._from_disk(number):
            return Image.frombytes("RGB", *kept)
        image = self._decoded(number)
        with self._lock:
            if number not in self._disk:
                self._keep(number, image)
        return image

    def origin(self) -> dict[str, str | int]:
        """How training photos were made small before they were cropped, for the model card. The evaluation's photos are
        preprocessed as in serving."""
        return {"short_side": self._side, "interpolation": self._preprocessing.interpolation}

    def line(self) -> str:
        """Where the photos are that were asked for so far, and why, for the log."""
        memory, disk = self._memory_bytes / 1e6, self._disk_bytes / 1e6
        return (
            f"photos short_side={self._side} in_memory={len(self._memory)} on_disk={len(self._disk)} "
            f"decoded_each_epoch={len(self._no_room)} memory_mb={memory:.0f} disk_mb={disk:.0f} "
            f"'there was room for {self._room.memory_bytes / 1e6:.0f} MB in memory ({MEMORY_SHARE:.0%} of what was "
            f"free), and for {self._room.disk_bytes / 1e6:.0f} MB on disk ({DISK_SHARE:.0%})'"
        )

    def _decoded(self, number: int) -> Image.Image:
        path = self.split.files[number]
        try:
            image = decode(path.read_bytes(), short_side=2 * self._side)
        except BadImage as error:
            raise bad_image(path, error) from error
        width, height = image.size
        scale = self._side / min(width, height)
        if scale >= 1:
            return image
        size = (max(self._side, round(width * scale)), max(self._side, round(height * scale)))
        return image.resize(size, INTERPOLATIONS[self._preprocessing.interpolation])

    def _keep(self, number: int, image: Image.Image) -> None:
        pixels = image.tobytes()
        if self._memory_bytes + len(pixels) <= self._room.memory_bytes:
            self._memory[number] = image.size, pixels
            self._memory_bytes += len(pixels)
        elif self._disk_bytes + len(pixels) > self._room.disk_bytes or not self._is_written(pixels):
            self._no_room.add(number)
        else:
            self._disk[number] = _OnDisk(self._disk_bytes, image.size, zlib.crc32(pixels))
            self._disk_bytes += len(pixels)

    def _is_written(self, pixels: bytes) -> bool:
        """Whether the pixels are now at the end of the file: not when the disk is full or may not be written to."""
        try:
            if self._file is None:
                self._file, name = tempfile.mkstemp(prefix="stagemaker-")
                weakref.finalize(self, os.close, self._file)
                Path(name).unlink()  # so that it ends with the process, however that ends
            return os.pwrite(self._file, pixels, self._disk_bytes) == len(pixels)
        except OSError:
            return False

    def _from_disk(self, number: int) -> tuple[tuple[int, int], bytes] | None:
        """The photo from the file; nothing where it is not there, or is not what was written."""
        kept = self._disk.get(number)
        if kept is None or self._file is None:
            return None
        width, height = kept.size
        try:
            pixels = os.pread(self._file, width * height * 3, kept.offset)
        except OSError:
            return None
        return (kept.size, pixels) if zlib.crc32(pixels) == kept.crc else None

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

import numpy as np

from ml.config import Config
from ml.data import Split, bad_image
from ml.memory import DISK_SHARE, MEMORY_SHARE, Room
from ml.photos import BadImage, decode_pixels
from ml.preprocess import Preprocessing
from ml.resize import Pixels, resize

_MIN_CROP = 0.5  # (ours) the share of the area from which on a crop of a small photo is sharp enough


def short_side(config: Config, preprocessing: Preprocessing) -> int:
    """The short side of a small photo, in pixels: that of the evaluation, or more where crops may be smaller than half
    of the area, so that these are not blurred."""
    return round(preprocessing.resize * math.sqrt(max(1.0, _MIN_CROP / config.min_crop)))


@dataclass(frozen=True)
class _OnDisk:
    """Where the pixels of a photo lie in the temporary file, and their checksum."""

    offset: int
    shape: tuple[int, ...]
    crc: int


class PhotoCache:
    """The small photos of a split by number, for any number of threads.

    Each is decoded when it is first asked for, and kept in memory while there is room, then in a temporary file that
    ends with the process; what finds no room is decoded each time."""

    def __init__(self, split: Split, side: int, preprocessing: Preprocessing, room: Room) -> None:
        self.split = split
        self._side, self._preprocessing, self._room = side, preprocessing, room
        self._lock = threading.Lock()
        self._memory: dict[int, Pixels] = {}
        self._disk: dict[int, _OnDisk] = {}
        self._no_room: set[int] = set()
        self._memory_bytes = self._disk_bytes = 0
        self._file: int | None = None

    def photo(self, number: int) -> Pixels:
        """The photo in RGB, uint8 (H, W, 3), its short side at most that of the cache. Raises DataError, which names a
        broken file."""
        kept = self._memory.get(number)
        if kept is None:
            kept = self._from_disk(number)
        if kept is None:
            kept = self._decoded(number)
            with self._lock:
                if number not in self._disk:
                    self._keep(number, kept)
        return kept

    def origin(self) -> dict[str, str | int]:
        """How training photos were made small before they were cropped, for the model card. The evaluation's photos are
        preprocessed as in serving."""
        p = self._preprocessing
        return {"short_side": self._side, "interpolation": p.interpolation, "version": p.version}

    def line(self) -> str:
        """Where the photos are that were asked for so far, and why, for the log."""
        memory, disk = self._memory_bytes / 1e6, self._disk_bytes / 1e6
        return (
            f"photos short_side={self._side} in_memory={len(self._memory)} on_disk={len(self._disk)} "
            f"decoded_each_epoch={len(self._no_room)} memory_mb={memory:.0f} disk_mb={disk:.0f} "
            f"'there was room for {self._room.memory_bytes / 1e6:.0f} MB in memory ({MEMORY_SHARE:.0%} of what was "
            f"free), and for {self._room.disk_bytes / 1e6:.0f} MB on disk ({DISK_SHARE:.0%})'"
        )

    def _decoded(self, number: int) -> Pixels:
        path = self.split.files[number]
        try:
            pixels = decode_pixels(path.read_bytes(), short_side=2 * self._side)
        except BadImage as error:
            raise bad_image(path, error) from error
        height, width, _ = pixels.shape
        scale = self._side / min(width, height)
        if scale >= 1:
            return pixels
        size = (max(self._side, round(width * scale)), max(self._side, round(height * scale)))
        p = self._preprocessing
        return resize(pixels, size, (0, 0, width, height), p.interpolation, p.version)

    def _keep(self, number: int, pixels: Pixels) -> None:
        if self._memory_bytes + pixels.nbytes <= self._room.memory_bytes:
            self._memory[number] = pixels
            self._memory_bytes += pixels.nbytes
        elif self._disk_bytes + pixels.nbytes > self._room.disk_bytes or not self._is_written(pixels):
            self._no_room.add(number)
        else:
            self._disk[number] = _OnDisk(self._disk_bytes, pixels.shape, zlib.crc32(pixels))
            self._disk_bytes += pixels.nbytes

    def _is_written(self, pixels: Pixels) -> bool:
        """Whether the pixels are now at the end of the file: not when the disk is full or may not be written to."""
        try:
            if self._file is None:
                self._file, name = tempfile.mkstemp(prefix="stagemaker-")
                weakref.finalize(self, os.close, self._file)
                Path(name).unlink()  # so that it ends with the process, however that ends
            return os.pwrite(self._file, pixels, self._disk_bytes) == pixels.nbytes
        except OSError:
            return False

    def _from_disk(self, number: int) -> Pixels | None:
        """The photo from the file; nothing where it is not there, or is not what was written."""
        kept = self._disk.get(number)
        if kept is None or self._file is None:
            return None
        try:
            data = os.pread(self._file, math.prod(kept.shape), kept.offset)
        except OSError:
            return None
        return np.frombuffer(data, np.uint8).reshape(kept.shape) if zlib.crc32(data) == kept.crc else None

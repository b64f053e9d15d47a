"""Event files for TensorBoard, in the folder from which SageMaker collects them: the figures of each epoch,
the hyperparameters beside what they led to, and the confusion matrices.

They are for looking at: what cannot be written costs a line in the log, not the training.
"""

import socket
import struct
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import Any

from PIL import Image

_BASE = PurePosixPath("/opt/ml")
_LOCAL_PATH = "/opt/ml/output/tensorboard"  # AWS's default of TensorBoardOutputConfig.LocalPath
_RGB = 3  # of TensorBoard's Summary.Image: the number of channels


def folder_of(config: Mapping[str, Any], base: Path) -> Path | None:
    """The folder for event files, from tensorboardoutputconfig.json; None for a job without TensorBoardOutputConfig.
    `base` is the folder that stands for /opt/ml."""
    if not config:
        return None
    path = PurePosixPath(config.get("LocalPath") or _LOCAL_PATH)
    return base / path.relative_to(_BASE) if path.is_relative_to(_BASE) else Path(path)


class Board:
    """Writes one event file into `folder`, from `begin` on; without a folder nothing. `clock` gives seconds since 1970.

    No method raises OSError: the first one is passed to `say`, and nothing more is written."""

    def __init__(
        self,
        folder: Path | None = None,
        say: Callable[[str], None] = print,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._folder, self._say, self._clock = folder, say, clock
        self._path: Path | None = None

    def begin(self, after_epoch: int, hyperparameters: Mapping[str, str | float], metrics: Sequence[str]) -> None:
        """Name the file. A training that goes on after this epoch replaces what an attempt before it wrote of later
        ones. TensorBoard's table of hyperparameters has the last values of these metrics."""
        if self._folder is None:
            return
        from tensorboardX.proto.event_pb2 import SessionLog  # here: the trainer also runs where this package is not
        from tensorboardX.summary import hparams

        self._path = self._folder / f"events.out.tfevents.{self._clock():.0f}.{socket.gethostname()}"
        self._write(0, file_version="brain.Event:2")
        if after_epoch:
            self._write(after_epoch + 1, session_log=SessionLog(status=SessionLog.START))
        for summary in hparams(hyperparameters, dict.fromkeys(metrics)):
            self._write(0, summary=summary)

    def epoch(self, number: int, figures: Mapping[str, float]) -> None:
        """Write the figures of an epoch."""
        if self._path is None:
            return
        from tensorboardX.proto.summary_pb2 import Summary

        values = [Summary.Value(tag=name, simple_value=value) for name, value in figures.items()]
        self._write(number, summary=Summary(value=values))

    def picture(self, name: str, number: int, path: Path) -> None:
        """Write the PNG file at `path` as a picture of an epoch."""
        if self._path is None:
            return
        from tensorboardX.proto.summary_pb2 import Summary

        with Image.open(path) as image:
            width, height = image.size
        content = Summary.Image(width=width, height=height, colorspace=_RGB, encoded_image_string=path.read_bytes())
        self._write(number, summary=Summary(value=[Summary.Value(tag=name, image=content)]))

    def _write(self, step: int, **content: Any) -> None:
        """Append an event."""
        if self._path is None:
            return
        from tensorboardX.proto.event_pb2 import Event

        event = Event(step=step, wall_time=self._clock(), **content)
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            with self._path.open("ab") as file:
                file.write(_record(event.SerializeToString()))
        except OSError as error:
            self._path = None
            self._say(f"tensorboard '{error}': nothing more is written for it")


def _record(data: bytes) -> bytes:
    """The bytes as a record of a TFRecord file (https://www.tensorflow.org/tutorials/load_data/tfrecord)."""
    from tensorboardX.record_writer import masked_crc32c

    size = struct.pack("<Q", len(data))
    return size + struct.pack("<I", masked_crc32c(size)) + data + struct.pack("<I", masked_crc32c(data))

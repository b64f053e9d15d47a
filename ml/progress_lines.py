"""Says in the log how far long work is, how fast it goes, and how long the rest will take."""

import time
from collections.abc import Callable

PROGRESS_S = 10.0  # (ours) between two lines of an epoch; what takes less says nothing


class EpochProgress:
    """Says how far an epoch of `total` images is, every 10 s: the images/s, the seconds that the rest of the epoch's
    training needs at this rate, and the mean loss so far. `clock` gives seconds."""

    def __init__(
        self, epoch: int, total: int, say: Callable[[str], None], clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._epoch, self._total, self._say, self._clock = epoch, total, say, clock
        self._start = self._last = clock()
        self._done = 0

    def add(self, images: int, loss: Callable[[], float]) -> None:
        """Counts a batch. `loss` gives the mean loss of the epoch so far, and is only called for a line: on a GPU it
        waits for the device."""
        self._done += images
        now = self._clock()
        if now - self._last >= PROGRESS_S and self._done < self._total:
            rate = self._done / (now - self._start)
            progress = f"images={self._done}/{self._total} images_per_s={rate:.1f}"
            eta = f"eta_s={(self._total - self._done) / rate:.0f}"
            self._say(f"training epoch={self._epoch} {progress} {eta} loss_so_far={loss():.4f}")
            self._last = now


def rest_line(epoch: int, epochs: int, took_s: float) -> str:
    """How long the epochs after this one need at most, when each takes as long as this one did; empty when that was
    short, or the last one."""
    if took_s < PROGRESS_S or epoch >= epochs:
        return ""
    return f"training after_epoch={epoch} epochs_left={epochs - epoch} eta_s={(epochs - epoch) * took_s:.0f}"

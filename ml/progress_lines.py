"""Says in the log how far long work is, how fast it goes, and how long the rest will take."""

import time
from collections.abc import Callable, Iterator

from torch import Tensor

_EPOCH_PROGRESS_S = 10.0  # (ours) between two lines of an epoch


def with_rate(
    batches: Iterator[tuple[Tensor, Tensor, int]],
    epoch: int,
    total: int,
    say: Callable[[str], None],
    clock: Callable[[], float] = time.monotonic,
) -> Iterator[tuple[Tensor, Tensor, int]]:
    """The batches of an epoch of `total` images. Every 10 s it says the rate in images/s and the seconds that the rest
    of the epoch's training needs at this rate; nothing in a shorter epoch. `clock` gives seconds."""
    start = last = clock()
    done = 0
    for batch in batches:
        yield batch
        done += batch[2]
        now = clock()
        if now - last >= _EPOCH_PROGRESS_S and done < total:
            rate = done / (now - start)
            progress = f"images={done}/{total} images_per_s={rate:.1f} eta_s={(total - done) / rate:.0f}"
            say(f"training epoch={epoch} {progress}")
            last = now

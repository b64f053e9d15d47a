"""Where the time of a training goes: timers that always run, since they cost next to nothing, and a trace on demand.

Only the main thread is timed, so the parts add up to the whole. What other threads do beside it (decoding while the
network computes) costs time only when the main thread waits for it.
"""

import gzip
import shutil
import tempfile
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from itertools import islice
from pathlib import Path

import torch

CHECK = "checking that the photos can be decoded"
PHOTOS = "waiting for photos (reading, decoding, augmenting)"
FEATURES = "features (engine)"
STEPS = "training steps"
VALIDATION = "validation"
CHECKPOINT = "checkpoints"
EVALUATION = "evaluation"
EXPORT = "export and measured precisions"
OTHER = "other (the network's weights, hashes, files)"
PARTS = (CHECK, PHOTOS, FEATURES, STEPS, VALIDATION, CHECKPOINT, EVALUATION, EXPORT, OTHER)

SUMMARY_FILE, TRACE_FILE = "profile.md", "trace.json.gz"
_TRACED_STEPS = 3  # (ours)
_MAX_TRACE_BYTES = 50_000_000  # (ours)


class Timers:
    """The seconds of each part of a job, from now on. A part within a part pauses the outer one.

    `clock` gives seconds. Only the main thread uses it, except for `work`."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock, self._since = clock, clock()
        self._parts = [OTHER]
        self._seconds = dict.fromkeys(PARTS, 0.0)
        self._lock, self._work = threading.Lock(), {PHOTOS: 0.0, FEATURES: 0.0}

    @contextmanager
    def part(self, name: str) -> Iterator[None]:
        """Counts the time of the block as that of this part."""
        self._count()
        self._parts.append(name)
        try:
            yield
        finally:
            self._count()
            self._parts.pop()

    def each[Item](self, name: str, source: Iterable[Item]) -> Iterator[Item]:
        """The items of `source`; waiting for them is a part."""
        items = iter(source)
        while True:
            with self.part(name):
                try:
                    item = next(items)
                except StopIteration:
                    return
            yield item

    def work(self, photos_s: float, engine_s: float) -> None:
        """Adds what a thread that computes features has spent on photos, and in the engine."""
        with self._lock:
            self._work[PHOTOS] += photos_s
            self._work[FEATURES] += engine_s

    def seconds(self) -> dict[str, float]:
        """The seconds of each of PARTS until now. Where threads both decoded and computed features, the time that
        the main thread waited for them is shared out as theirs was."""
        self._count()
        found, worked = dict(self._seconds), sum(self._work.values())
        if worked:
            photos_s = found[FEATURES] * self._work[PHOTOS] / worked
            found[PHOTOS] += photos_s
            found[FEATURES] -= photos_s
        return found

    def _count(self) -> None:
        now = self._clock()
        self._seconds[self._parts[-1]] += now - self._since
        self._since = now


def summary(seconds: Mapping[str, float], notes: Iterable[str]) -> str:
    """A page in Markdown: the seconds and the share of each part, longest first, and below them the `notes`."""
    total = sum(seconds.values())
    rows = sorted(seconds.items(), key=lambda row: -row[1])
    lines = [f"| {name} | {value:.2f} | {value / max(total, 1e-9):.1%} |" for name, value in rows]
    return "\n".join(
        [
            "# Where the time went",
            "",
            "| part | seconds | share |",
            "|---|---|---|",
            *lines,
            f"| **all** | {total:.2f} | 100.0% |",
            "",
            "It begins when the data was scanned and PyTorch was imported. Photos are decoded while the network",
            "computes, so only the time that it had to wait for them counts.",
            *notes,
            "",
        ]
    )


class Tracer:
    """Writes what PyTorch did in the first training steps of a job, as a trace for chrome://tracing or Perfetto."""

    def __init__(self, folder: Path) -> None:
        self._path, self._is_done = folder / TRACE_FILE, False
        self.note = "There is no trace: no training step ended."

    def traced[Item](self, batches: Iterator[Item]) -> Iterator[Item]:
        """The batches. While the first of the job are used, everything is traced."""
        if not self._is_done:
            self._is_done = True
            count, activities = 0, [torch.profiler.ProfilerActivity.CPU]
            if torch.cuda.is_available():
                activities.append(torch.profiler.ProfilerActivity.CUDA)
            with torch.profiler.profile(activities=activities) as profiler:
                for batch in islice(batches, _TRACED_STEPS):
                    yield batch
                    count += 1
            self._write(profiler, count)
        yield from batches

    def _write(self, profiler: torch.profiler.profile, steps: int) -> None:
        self._path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix="stagemaker-") as folder:
            plain, packed = Path(folder) / "trace.json", Path(folder) / TRACE_FILE
            profiler.export_chrome_trace(str(plain))
            with plain.open("rb") as source, gzip.open(packed, "wb", compresslevel=6) as target:
                shutil.copyfileobj(source, target)
            size = packed.stat().st_size
            if size > _MAX_TRACE_BYTES:
                self.note = f"There is no trace: that of {steps} steps had {size:,} bytes, more than the limit."
                return
            shutil.copyfile(packed, self._path)
            self.note = (
                f"`{TRACE_FILE}` has the first {steps} training steps, for chrome://tracing or Perfetto. The first step"
                " is slower than the others: memory and kernels are prepared in it."
            )

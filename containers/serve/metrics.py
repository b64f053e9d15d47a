"""What GET /metrics answers: figures of the server in Prometheus's text format, version 0.0.4.

Only who reaches the container's port sees them: SageMaker passes on /ping and /invocations alone.
"""

import threading
from bisect import bisect_left
from collections.abc import Iterable, Iterator
from itertools import accumulate

from containers.serve.connections import Queue
from containers.serve.engines import EngineChoice

CONTENT_TYPE = "text/plain; version=0.0.4"
STAGES = ("wait", "decode", "model")
BUCKETS_S = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
_NAME = "stagemaker_serve"


class StageTimes:
    """How long each stage of each batch took: its wait for a thread, the decoding of its images, and the model. Safe to
    call from many threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._counts = {stage: [0] * (len(BUCKETS_S) + 1) for stage in STAGES}
        self._sums_s = dict.fromkeys(STAGES, 0.0)
        self._images = 0

    def add(self, images: int, seconds: dict[str, float]) -> None:
        """Counts a batch of so many images, with the seconds of each of its stages."""
        with self._lock:
            self._images += images
            for stage, took_s in seconds.items():
                self._counts[stage][bisect_left(BUCKETS_S, took_s)] += 1
                self._sums_s[stage] += took_s

    def lines(self) -> Iterator[str]:
        """The figures as lines of Prometheus's format."""
        with self._lock:
            images, sums_s = self._images, dict(self._sums_s)
            counts = {stage: list(accumulate(numbers)) for stage, numbers in self._counts.items()}
        yield from _single("images_total", "counter", "Images that the model has answered.", images)
        name = f"{_NAME}_stage_seconds"
        yield from _head(name, "histogram", "Seconds of each stage of a batch.")
        for stage in STAGES:
            for bound, count in zip([*map(str, BUCKETS_S), "+Inf"], counts[stage], strict=True):
                yield f'{name}_bucket{{stage="{stage}",le="{bound}"}} {count}'
            yield f'{name}_sum{{stage="{stage}"}} {sums_s[stage]:.6f}'
            yield f'{name}_count{{stage="{stage}"}} {counts[stage][-1]}'


def render(stages: StageTimes, queue: Queue, choice: EngineChoice | None) -> str:
    """The whole answer. `choice` is what the model runs on; None for a server of many models."""
    lines = list(stages.lines())
    lines += _single("queue_requests", "gauge", "Requests that have a place in the queue.", queue.held)
    lines += _single("queue_places", "gauge", "Places in the queue.", queue.places)
    lines += _single("refused_total", "counter", "Requests that a full queue refused.", queue.refused)
    if choice:
        labels = f'engine="{choice.name}",precision="{choice.precision}",streams="{choice.streams}"'
        lines += _head(f"{_NAME}_engine_info", "gauge", "What the model runs on.")
        lines.append(f"{_NAME}_engine_info{{{labels}}} 1")
    return "\n".join([*lines, ""])


def _single(name: str, kind: str, text: str, value: int) -> Iterable[str]:
    return [*_head(f"{_NAME}_{name}", kind, text), f"{_NAME}_{name} {value}"]


def _head(name: str, kind: str, text: str) -> list[str]:
    return [f"# HELP {name} {text}", f"# TYPE {name} {kind}"]

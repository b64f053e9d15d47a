"""Measures the engines for a model: a program that the server starts beside itself when it has nothing to do.

It is a process of its own so that the server keeps none of its memory, and survives an engine that crashes here. It
runs at the lowest priority, for a bounded time of the CPU, and dies with the server. It writes what it found as JSON to
its standard output, [choice, speed] a line.

Each candidate takes turns with the safe choice, so that whatever else the machine does affects both alike.
"""

import ctypes
import json
import os
import resource
import signal
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from pathlib import Path

import numpy as np

from containers.serve.choice import Speed, candidates
from containers.serve.engines import SAFE_CHOICE, Batch, Engine, load_engine
from ml.artifact import BadArtifact, read_card

CPU_TIME_S = 60  # (ours) for each thread; ResNet-50 takes about 15
_ROUNDS = 5
_BURST_S = 0.3  # of each choice in each round
_HOPELESS = 0.5  # a candidate with a lower gain in the first round is not measured further
# Of the largest logit. What lower precisions cost in accuracy, the model card says.
_TOLERANCE = {"f32": 1e-3, "bf16": 0.25, "int8": 0.5}
_PR_SET_PDEATHSIG = 1


def main(folder: Path, threads: int) -> None:
    """Prints the speed of every candidate that computes what the safe choice computes. Raises BadArtifact."""
    card = read_card(folder)
    safe = load_engine(folder, card, SAFE_CHOICE, threads)
    size = card.preprocessing.size
    image = np.random.default_rng(0).normal(size=(1, 3, size, size)).astype(np.float32)
    with ThreadPoolExecutor(threads) as pool:
        for choice in candidates(card.default_precisions, threads):
            try:
                other = load_engine(folder, card, choice, threads)
            except (BadArtifact, ImportError) as error:
                print(f"{choice}: {error}", file=sys.stderr)
                continue
            if _agree(safe, other, image):
                speed = compare(safe, other, image, pool, threads)
                print(json.dumps([asdict(choice), asdict(speed)]), flush=True)
            del other  # before the next is loaded


def _agree(safe: Engine, other: Engine, image: Batch) -> bool:
    expected, found = safe.run(image), other.run(image)
    tolerance = _TOLERANCE[other.choice.precision] * max(1.0, float(np.abs(expected).max()))
    return bool(np.abs(found - expected).max() <= tolerance)


def compare(safe: Engine, other: Engine, image: Batch, pool: ThreadPoolExecutor, threads: int) -> Speed:
    """How many times faster `other` is than `safe`. They take turns, and the second lowest of five rounds counts: the
    noise of a busy machine must not make a slow choice look fast."""
    one_s = min(_seconds(lambda: safe.run(image)) for _ in range(3))
    lone = max(2, round(_BURST_S / 2 / one_s))
    busy = lone * threads

    def run_lone(engine: Engine) -> float:
        return _seconds(lambda: [engine.run(image) for _ in range(lone)])

    def run_busy(engine: Engine) -> float:
        return _seconds(lambda: list(pool.map(engine.run, [image] * busy)))

    rounds: list[Speed] = []
    for _ in range(_ROUNDS):
        rounds.append(Speed(run_busy(safe) / run_busy(other), run_lone(safe) / run_lone(other)))
        if rounds[0].gain < _HOPELESS:
            break
    busy_gains, lone_gains = sorted(it.busy for it in rounds), sorted(it.lone for it in rounds)
    counted = min(1, len(rounds) - 1)
    return Speed(busy_gains[counted], lone_gains[counted])


def _seconds(call: Callable[[], object]) -> float:
    began = time.perf_counter()
    call()
    return time.perf_counter() - began


def _make_harmless(threads: int) -> None:
    """Gives everything else on the machine priority, bounds the time of the CPU, and ends with the server."""
    os.nice(19)
    resource.setrlimit(resource.RLIMIT_CPU, (CPU_TIME_S * threads, CPU_TIME_S * threads))
    if sys.platform == "linux":
        Path("/proc/self/oom_score_adj").write_text("1000")  # without memory, this process ends before the server
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)


if __name__ == "__main__":
    _make_harmless(int(sys.argv[2]))
    main(Path(sys.argv[1]), int(sys.argv[2]))

"""Starts small trainings on several ranks. Each rank is a process of this file with its own loopback address."""

import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from ml import distributed
from ml.config import Config
from ml.context import Context
from ml.data import check_images, scan
from ml.distributed import Ranks
from ml.errors import JobError
from ml.export import write_graph
from ml.features import compute
from ml.fit import fit
from ml.learners import FullLearner, HeadLearner, Learner
from ml.model import build, preprocessing
from ml.train import set_up
from ml.weights import find_weights

ROOT = Path(__file__).parents[3]


def start(
    data: Path,
    folder: Path,
    config: Config,
    rank: int,
    port: int,
    norm: str = "batch",
    exchange_timeout_s: float = distributed.EXCHANGE_TIMEOUT_S,
) -> subprocess.Popen[str]:
    """Starts the process of rank 0 or rank 1 of two ranks."""
    arguments = [str(data), str(folder), json.dumps(asdict(config)), str(rank), norm, str(exchange_timeout_s)]
    environment = os.environ | {"MASTER_PORT": str(port), "OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT)}
    return subprocess.Popen(
        [sys.executable, __file__, *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=environment,
    )


def train_rank(data: Path, folder: Path, config: Config, ranks: Ranks, norm: str, stop: Callable[[], bool]) -> None:
    """Trains without the evaluation and export; rank<n>.safetensors holds the trained module's weights.

    The `norm` "group" replaces batch norm by group norm, which does not depend on the batch."""
    say = lambda line: print(line, flush=True)  # noqa: E731
    device, threads = set_up()
    dataset = check_images(scan(data), threads, say)
    model = build(config, len(dataset.classes), find_weights(config, data / "pretrained"))
    if norm == "group":
        for parent in list(model.modules()):
            for name, child in list(parent.named_children()):
                if isinstance(child, nn.BatchNorm2d):
                    setattr(parent, name, nn.GroupNorm(1, child.num_features))
    context = Context(config, dataset, preprocessing(config), device, threads, stop, say, ranks)
    identity = config.to_hyperparameters() | {"data digest": dataset.digest, "epochs": ""}
    with ranks.connected(device.type, stop):
        ranks.require_equal(identity)
        learner: Learner
        if config.fine_tune == "head":
            features = compute(model, context, lambda: _graph(model, config, folder / f"{ranks.rank}.onnx"))
            learner = HeadLearner(model, context, features)
        else:
            learner = FullLearner(model, context)
        fit(learner, context, folder / "checkpoints", identity)
    state = {name: value.contiguous() for name, value in learner.module.state_dict().items()}
    save_file(state, folder / f"rank{ranks.rank}.safetensors")


def _graph(model: nn.Module, config: Config, path: Path) -> Path:
    write_graph(model, config.image_size, path)
    return path


def trained_weights(folder: Path, rank: int) -> dict[str, Tensor]:
    """The weights that train_rank wrote for this rank."""
    return load_file(folder / f"rank{rank}.safetensors")


def equal_tensors(first: dict[str, Tensor], second: dict[str, Tensor]) -> bool:
    """Whether both have the same names, and equal bits under each name."""
    return first.keys() == second.keys() and all(torch.equal(first[name], second[name]) for name in first)


def main(data: str, folder: str, config: str, rank: str, norm: str, exchange_timeout_s: str) -> int:
    """Trains one rank and returns the exit status."""
    distributed.EXCHANGE_TIMEOUT_S = float(exchange_timeout_s)
    stopping = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: stopping.set())
    ranks = Ranks(("127.0.0.1", "127.0.0.2"), int(rank), "lo")
    try:
        train_rank(Path(data), Path(folder), Config(**json.loads(config)), ranks, norm, stopping.is_set)
    except JobError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))

#!/usr/bin/env python3
"""Trains without SageMaker, as one plain program on any machine: photos in folders go in, `model.pth` comes out.

It is the training job's own code: the same data, hyperparameters and seed give the same weights. SIGTERM ends it soon,
with the best model so far. Exit status 1: nothing was written, and the last line says why.
"""

import argparse
import json
import os
import signal
import sys
import tempfile
import threading
from pathlib import Path

# The folder that holds ml/, in this repository or in an image.
sys.path[0] = str(next(folder for folder in Path(__file__).resolve().parents if (folder / "ml").is_dir()))

from ml.config import Config  # noqa: E402
from ml.data import scan  # noqa: E402
from ml.errors import JobError  # noqa: E402

STATE_FILE = "model.pth"


def main(arguments: list[str] | None = None) -> int:
    """Runs the program and returns its exit status."""
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # as in `train`
    os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")
    stopping = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: stopping.set())
    options = _parser().parse_args(arguments)
    try:
        run(options, stopping)
    except (JobError, OSError, ValueError) as error:
        print(error, file=sys.stderr, flush=True)
        return 1
    return 0


def run(options: argparse.Namespace, stopping: threading.Event) -> None:
    """Trains, and writes the artifact and the state dict of its network. Raises JobError, and OSError or ValueError for
    hyperparameters that cannot be read."""
    text = options.hyperparameters.read_text(encoding="utf-8") if options.hyperparameters else "{}"
    hyperparameters = json.loads(text)
    if not isinstance(hyperparameters, dict):
        raise JobError(f"{options.hyperparameters} must hold a JSON object.")
    config = Config.from_hyperparameters(hyperparameters)
    dataset = scan(options.data)

    import torch
    from safetensors.torch import load_file

    from ml.artifact import WEIGHTS_FILE
    from ml.context import Paths
    from ml.train import train

    out = options.out
    model = options.model or out / "artifact"
    paths = Paths(options.data, model, out / "evaluation", options.checkpoints or out / "checkpoints")
    train(config, dataset, paths, stopping.is_set, lambda line: print(line, flush=True))
    if not (model / WEIGHTS_FILE).is_file():
        raise JobError("It was stopped before there was a model.")
    out.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".partial-", dir=out) as folder:
        torch.save(load_file(model / WEIGHTS_FILE), partial := Path(folder) / STATE_FILE)
        partial.replace(out / STATE_FILE)
    print(f"The weights are in {out / STATE_FILE}: torch.load(..., weights_only=True)", flush=True)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description="Train a classifier of photos, and write its weights as model.pth.")
    add = parser.add_argument
    add("--data", type=Path, required=True, help="folder of train/ and valid/, perhaps test/, of class folders")
    add("--out", type=Path, default=Path("TrainedModels"), help="folder for model.pth (default: %(default)s)")
    add("--model", type=Path, help="folder for the artifact that an endpoint serves (default: <out>/artifact)")
    add("--checkpoints", type=Path, help="folder to go on from, and to write to (default: <out>/checkpoints)")
    add("--hyperparameters", type=Path, help='JSON file of texts by name, such as {"epochs": "5"}')
    return parser


if __name__ == "__main__":
    sys.exit(main())

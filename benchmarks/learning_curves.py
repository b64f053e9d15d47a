"""Records learning curves of our own trainer for the scenario `early_stopping`: `python -m benchmarks.learning_curves`.

Each training has other hyperparameters, drawn by chance. It needs the environment `trainer` and the digits of the demo,
of which it takes every fourth.
The curves are kept in learning_curves.json, so that the scenario compares rules on equal curves within a second.
"""

import json
import math
import os
import random
import re
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
CURVES = Path(__file__).parent / "learning_curves.json"
TRAINER = [str(ROOT / ".stagemaker/env/trainer/bin/python"), str(ROOT / "containers/trainer/train")]
DIGITS = ROOT / ".stagemaker/data/digits"
TRAININGS, EPOCHS, SEED = 30, 20, 1
_LIMIT_S = 600
_ACCURACY = re.compile(r"^epoch=\d+ .*valid_accuracy=([0-9.]+)", re.MULTILINE)


def main() -> int:
    """Trains, and writes the curves."""
    chance = random.Random(SEED)  # noqa: S311 - no secret
    curves = []
    for number in range(TRAININGS):
        found = {
            "learning-rate": f"{_between(chance, 1e-5, 1.0):.6f}",
            "batch-size": str(round(_between(chance, 8, 256))),
            "weight-decay": f"{_between(chance, 1e-4, 1.0):.6f}",
        }
        values = curve(found)
        print(f"{number + 1}/{TRAININGS} {found} {values[-1]}", flush=True)
        curves.append({"hyperparameters": found, "valid_accuracy": values})
        CURVES.write_text("".join(["[\n", ",\n".join(json.dumps(each) for each in curves), "\n]\n"]))
    return 0


def curve(hyperparameters: dict[str, str]) -> list[float]:
    """The validation accuracy after each epoch of one training on the digits."""
    fixed = {"epochs": str(EPOCHS), "patience": str(EPOCHS), "image-size": "32"}
    with tempfile.TemporaryDirectory() as folder:
        base = Path(folder)
        for name in ("input/config", "input/data", "model", "output/data"):
            (base / name).mkdir(parents=True)
        for photo in sorted([*DIGITS.glob("train/*/*"), *DIGITS.glob("valid/*/*")])[::4]:
            link = base / "input/data" / photo.relative_to(DIGITS)
            link.parent.mkdir(parents=True, exist_ok=True)
            link.symlink_to(photo)
        _write(base, "hyperparameters", {**fixed, **hyperparameters})
        _write(base, "resourceconfig", {"current_host": "algo-1", "hosts": ["algo-1"]})
        environment = {**os.environ, "SAGEMAKER_BASE_DIR": folder, "OMP_NUM_THREADS": "1"}
        done = subprocess.run(TRAINER, env=environment, capture_output=True, text=True, check=True, timeout=_LIMIT_S)
    return [float(value) for value in _ACCURACY.findall(done.stdout)]


def _between(chance: random.Random, low: float, high: float) -> float:
    """A number whose logarithm is drawn evenly."""
    return math.exp(chance.uniform(math.log(low), math.log(high)))


def _write(base: Path, name: str, content: dict[str, Any]) -> None:
    (base / "input/config" / f"{name}.json").write_text(json.dumps(content))


if __name__ == "__main__":
    sys.exit(main())

"""The trainer's program on a CUDA device."""

import gzip
import json
from pathlib import Path

import pytest
from safetensors.torch import load_file

from ml.artifact import WEIGHTS_FILE, read_card
from ml.profiling import TRACE_FILE
from tests.gpu.memory import full_memory
from tests.unit.containers.trainer_process import settings, start
from tests.unit.ml.ranks import equal_tensors

LIMIT_S = 300
SMALL = {"weights": "none", "image-size": "64", "epochs": "2", "batch-size": "8", "seed": "1"}


def run(base: Path, photos: Path, **more: str) -> tuple[int, str]:
    """Trains below `base`; `more` are hyperparameters. The exit status, and what was said."""
    (base / "input" / "config").mkdir(parents=True)
    (base / "input" / "data").symlink_to(photos)
    settings(base, "hyperparameters", SMALL | {name.replace("_", "-"): value for name, value in more.items()})
    with start(base) as process:
        out, error = process.communicate(timeout=LIMIT_S)
    return process.returncode, out + error


@pytest.mark.parametrize("fine_tune", ["head", "full"])
def test_a_training_ends_in_a_model_and_repeats_itself(
    device: str, photos: Path, tmp_path: Path, fine_tune: str
) -> None:
    for name in ("one", "two"):
        status, said = run(tmp_path / name, photos, fine_tune=fine_tune)
        assert status == 0, said
        assert f"device={device}" in said
    one, two = (load_file(tmp_path / name / "model" / WEIGHTS_FILE) for name in ("one", "two"))
    assert equal_tensors(one, two)
    assert read_card(tmp_path / "one" / "model").metrics["epochs"] == 2


def test_a_profile_of_the_device_is_written(device: str, photos: Path, tmp_path: Path) -> None:
    status, said = run(tmp_path / "job", photos, fine_tune="full", profile="1")
    assert status == 0, said
    (trace,) = (tmp_path / "job" / "output").rglob(TRACE_FILE)
    events = json.loads(gzip.decompress(trace.read_bytes()))["traceEvents"]
    assert any(event.get("cat") == ("kernel" if device == "cuda" else "cpu_op") for event in events)


def test_a_device_without_memory_is_told_with_what_to_do(cuda: str, photos: Path, tmp_path: Path) -> None:
    with full_memory():
        status, said = run(
            tmp_path / "job", photos, fine_tune="full", backbone="resnet50", batch_size="48", image_size="512"
        )
    assert status == 1
    failure = (tmp_path / "job" / "output" / "failure").read_text()
    assert "ran out of memory; a smaller 'batch-size' or 'image-size'" in failure, said

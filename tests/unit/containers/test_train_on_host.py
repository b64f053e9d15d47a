"""The plain script of an EC2 host, as a shell starts it."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from tests.unit.containers.trainer_process import SMALL, TRAINER, settings, start
from tests.unit.ml.data import write_dataset

SCRIPT = TRAINER / "train_on_host.py"


def run(*arguments: str | Path) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, SCRIPT, *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)


def test_it_writes_the_weights_of_the_training_job(tmp_path: Path) -> None:
    (tmp_path / "input" / "config").mkdir(parents=True)
    data, out = tmp_path / "input" / "data", tmp_path / "TrainedModels"
    write_dataset(data, each=2)
    settings(tmp_path, "hyperparameters", SMALL)
    with start(tmp_path) as job:
        job.communicate(timeout=120)
    assert job.returncode == 0
    done = run("--data", data, "--out", out, "--hyperparameters", tmp_path / "input/config/hyperparameters.json")
    assert done.returncode == 0, done.stderr
    assert "epoch=2 train_loss=" in done.stdout
    found = torch.load(out / "model.pth", weights_only=True)
    expected = load_file(tmp_path / "model" / "model.safetensors")
    assert found.keys() == expected.keys()
    assert all(torch.equal(found[name], expected[name]) for name in expected)
    assert (out / "artifact" / "model.safetensors").read_bytes() == (
        tmp_path / "model" / "model.safetensors"
    ).read_bytes()
    assert sorted(path.name for path in out.iterdir()) == ["artifact", "checkpoints", "evaluation", "model.pth"]


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (json.dumps({"epoch": "3"}), "Unknown hyperparameter 'epoch': did you mean 'epochs'?"),
        ("{", "Expecting property name"),
        ("[]", "must hold a JSON object"),
    ],
)
def test_what_is_wrong_is_said_in_a_line(tmp_path: Path, content: str, reason: str) -> None:
    (tmp_path / "wrong.json").write_text(content)
    done = run("--data", tmp_path, "--hyperparameters", tmp_path / "wrong.json")
    assert done.returncode == 1
    assert reason in done.stderr
    assert "Traceback" not in done.stderr

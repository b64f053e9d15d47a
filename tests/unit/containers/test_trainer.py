"""The trainer's program as SageMaker starts it: a process, files under /opt/ml, signals and an exit status."""

import json
import resource
import signal
import threading
from pathlib import Path
from typing import Any

import pytest

from benchmarks.ports import free_port
from ml.artifact import read_card
from tests.unit.containers.trainer_process import SMALL, settings, start
from tests.unit.ml.data import write_dataset
from tests.unit.ml.event_files import events, only_file


@pytest.fixture
def base(tmp_path: Path) -> Path:
    (tmp_path / "input" / "config").mkdir(parents=True)
    write_dataset(tmp_path / "input" / "data", each=2)
    return tmp_path


def run(base: Path) -> tuple[int, str, str]:
    """Runs the program to its end. Returns the exit status, standard output and the reason of the failure."""
    with start(base) as process:
        out, error = process.communicate(timeout=120)
    failure = base / "output" / "failure"
    reason = failure.read_text() if failure.exists() else ""
    assert reason in error
    return process.returncode, out, reason


def test_the_program_trains_a_model(base: Path) -> None:
    settings(base, "hyperparameters", SMALL)
    settings(base, "resourceconfig", {"current_host": "algo-1", "hosts": ["algo-1"]})
    settings(base, "inputdataconfig", {"train": {"TrainingInputMode": "File"}, "valid": {}, "test": {}})
    status, out, reason = run(base)
    assert (status, reason) == (0, "")
    assert "epoch=2 train_loss=" in out
    assert read_card(base / "model").metrics["epochs"] == 2
    assert (base / "output" / "data" / "test_confusion.png").is_file()
    assert (base / "checkpoints" / "checkpoint.safetensors").is_file()
    assert [path.name for path in (base / "output").iterdir()] == ["data"]


def test_a_job_may_have_features_and_no_photos(base: Path) -> None:
    settings(base, "hyperparameters", SMALL | {"features-only": "true"})
    assert run(base)[0] == 0
    alone = base / "alone"
    (alone / "input" / "config").mkdir(parents=True)
    (alone / "input" / "data").mkdir()
    (base / "model").rename(alone / "input" / "data" / "features")
    settings(alone, "hyperparameters", SMALL)
    status, out, reason = run(alone)
    assert (status, reason) == (0, "")
    assert "epoch=2 train_loss=" in out
    assert read_card(alone / "model").metrics["epochs"] == 2
    (alone / "input" / "data" / "features" / "features.safetensors").unlink()
    assert run(alone)[2].startswith("Channel 'features' tells no photos")


def test_two_hosts_train_one_model(base: Path) -> None:
    folders = {"127.0.0.1": base, "127.0.0.2": base / "second"}
    port = str(free_port())
    (base / "input" / "data" / "valid" / "red" / "1.png").write_bytes(b"no image")
    running = []
    for host, folder in folders.items():
        (folder / "input" / "config").mkdir(parents=True, exist_ok=True)
        settings(folder, "hyperparameters", SMALL | {"max-unusable-share": "0.1"})
        hosts = {"current_host": host, "hosts": ["127.0.0.2", "127.0.0.1"], "network_interface_name": "lo"}
        settings(folder, "resourceconfig", hosts)
        settings(folder, "tensorboardoutputconfig", {"LocalPath": "/opt/ml/output/board", "S3OutputPath": "s3://b"})
        if folder != base:
            (folder / "input" / "data").symlink_to(base / "input" / "data")
        running.append(start(folder, MASTER_PORT=port))
    first, second = [process.communicate(timeout=180) for process in running]
    assert [process.returncode for process in running] == [0, 0], first[1] + second[1]
    for out, _ in (first, second):
        assert "left out valid/red/1.png: The data is not a JPEG, PNG or WebP image." in out
    assert json.loads((base / "output" / "data" / "photos.json").read_text())["photos"] == 18
    assert "features split=train images=3/3" in second[0]
    assert "epoch=2 train_loss=" in first[0]
    assert "rank=1 after_epoch=2" in second[0]
    assert "train_loss=" not in second[0]
    assert "accuracy=" not in second[0]
    assert read_card(base / "model").metrics["epochs"] == 2
    assert (base / "output" / "data" / "test_confusion.png").is_file()
    assert (base / "checkpoints" / "checkpoint.safetensors").is_file()
    scalars = [event.step for event in events(only_file(base / "output" / "board")) if "train_loss" in str(event)]
    assert scalars == [1, 2]
    assert [path.name for path in (base / "second").iterdir()] == ["input"]


@pytest.mark.parametrize(
    ("name", "content", "reason"),
    [
        ("hyperparameters", {"epoch": "3"}, "Unknown hyperparameter 'epoch': did you mean 'epochs'?"),
        ("hyperparameters", ["epochs"], "hyperparameters.json must hold a JSON object."),
        ("resourceconfig", {"hosts": ["algo-1"], "current_host": "algo-2"}, "does not list its current_host 'algo-2'"),
        ("resourceconfig", {"hosts": [f"algo-{n}" for n in range(40)]}, "it must be at least 80, two examples each"),
        ("inputdataconfig", {"validation": {}}, "Unknown channel 'validation': did you mean 'valid'?"),
        ("inputdataconfig", {"train": {"TrainingInputMode": "Pipe"}}, "Channel 'train' is in Pipe mode"),
    ],
)
def test_wrong_settings_fail_before_torch_is_imported(base: Path, name: str, content: Any, reason: str) -> None:
    settings(base, name, content)
    (base / "first").mkdir()
    (base / "first" / "torch.py").write_text("raise SystemExit(3)")
    status, _, found = run(base)
    assert status == 1
    assert reason in found
    assert not (base / "model").exists()


def test_a_channel_that_is_sharded_is_refused(base: Path) -> None:
    settings(base, "resourceconfig", {"hosts": ["algo-1", "algo-2"], "current_host": "algo-2"})
    settings(base, "inputdataconfig", {"train": {"S3DistributionType": "ShardedByS3Key"}})
    status, _, reason = run(base)
    assert status == 1
    assert reason.startswith("Channel 'train' is ShardedByS3Key")


def test_broken_settings_and_a_broken_image_are_named(base: Path) -> None:
    (base / "input" / "config" / "hyperparameters.json").write_text("{")
    assert run(base)[2].startswith("hyperparameters.json is not JSON")
    settings(base, "hyperparameters", SMALL)
    (base / "input" / "data" / "valid" / "red" / "1.png").write_bytes(b"no image")
    status, _, reason = run(base)
    assert status == 1
    assert reason.startswith("valid/red/1.png cannot be used")
    assert not (base / "model").exists()


def test_sigterm_writes_the_model_and_the_checkpoint(base: Path) -> None:
    settings(base, "hyperparameters", SMALL | {"epochs": "9999", "patience": "9999"})
    with start(base) as process:
        guard = threading.Timer(120, process.kill)
        guard.start()
        assert process.stdout is not None
        lines = []
        for line in process.stdout:
            lines.append(line)
            if line.startswith("epoch=3 "):
                process.send_signal(signal.SIGTERM)
        status = process.wait()
        guard.cancel()
    assert status == 0, lines
    assert (base / "checkpoints" / "checkpoint.safetensors").is_file()
    assert 3 <= read_card(base / "model").metrics["epochs"] < 9999


def test_out_of_memory_says_what_may_help(base: Path) -> None:
    settings(base, "hyperparameters", SMALL | {"image-size": "1024", "fine-tune": "full", "backbone": "resnet50"})
    limit = 8 << 30
    kept = resource.getrlimit(resource.RLIMIT_AS)
    resource.setrlimit(resource.RLIMIT_AS, (limit, kept[1]))  # the new process inherits the limit
    try:
        process = start(base)
    finally:
        resource.setrlimit(resource.RLIMIT_AS, kept)
    with process:
        _, error = process.communicate(timeout=120)
    reason = (base / "output" / "failure").read_text()
    assert process.returncode == 1
    assert reason.startswith("The trainer ran out of memory; a smaller 'batch-size' or 'image-size'"), error

"""Pipe mode and instance groups on real containers."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from stagemaker.runtime.contract import BASE
from tests.contract.docker_training import DockerTraining
from tests.unit.plugin.training.training_requests import channel, groups

TELLS = f"""
import json
base = pathlib.Path({BASE!r})
resources = json.loads((base / "input/config/resourceconfig.json").read_text())
channels = json.loads((base / "input/config/inputdataconfig.json").read_text())
def epoch(number):
    path = base / f"input/data/piped_{{number}}"
    while not path.exists():
        time.sleep(0.01)
    return path.read_text()
epochs = [epoch(number) for number in range(3)] if "piped" in channels else []
files = sorted(path.name for path in (base / "input/data").rglob("*") if path.is_file())
told = [resources["current_group_name"], resources["current_instance_type"], epochs, files]
(base / "model" / resources["current_host"]).write_text(json.dumps(told))
"""


@pytest.fixture
def training(docker_image: str, tmp_path: Path) -> Iterator[DockerTraining]:
    """Closed afterwards; nothing is left of it."""
    made = DockerTraining(docker_image, tmp_path)
    yield made
    made.supervisor.close()
    assert made.left() == []


def test_each_group_gets_its_channels(training: DockerTraining) -> None:
    training.account.objects |= {f"s3://bucket/piped/{number}": f"{number} ".encode() for number in range(4)}
    sharded = {"S3DataDistributionType": "ShardedByS3Key", "InstanceGroupNames": ["streams"]}
    training.create(
        TELLS,
        **groups(("files", 1), ("streams", 2, "ml.c5.xlarge")),
        InputDataConfig=[
            channel(source={"InstanceGroupNames": ["files"]}),
            channel("piped", "s3://bucket/piped", InputMode="Pipe", source=sharded),
        ],
    )
    job = training.ended()
    assert job["TrainingJobStatus"] == "Completed", (job, training.logs.lines)
    assert training.model() == {
        "algo-1": ["files", "ml.m5.large", [], ["a", "b", "c", "d", "e"]],
        "algo-2": ["streams", "ml.c5.xlarge", ["0 2 "] * 3, []],
        "algo-3": ["streams", "ml.c5.xlarge", ["1 3 "] * 3, []],
    }

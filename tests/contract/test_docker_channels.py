"""Pipe mode, instance groups and network isolation on real containers."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from stagemaker.runtime.contract import BASE
from tests.contract.docker_training import DockerTraining
from tests.unit.plugin.training.training_requests import channel, groups, instances

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


def test_an_isolated_job_has_its_data_its_peer_and_no_credentials(training: DockerTraining) -> None:
    training.create(
        f"""
import json, socket
host = json.loads(pathlib.Path({BASE!r}, "input/config/resourceconfig.json").read_text())["current_host"]
def reaches(name):
    try:
        socket.create_connection((name, 9), timeout=3).close()
    except ConnectionRefusedError:
        return True
    except OSError:
        return False
end = time.monotonic() + 20
while not (peer := reaches("algo-2" if host == "algo-1" else "algo-1")) and time.monotonic() < end:
    time.sleep(0.1)
data = sorted(path.name for path in pathlib.Path({BASE!r}, "input/data/train").iterdir())
leads_out = any(line.split()[1] == "00000000" for line in open("/proc/net/route"))
told = [data, peer, leads_out, "AWS_ACCESS_KEY_ID" in os.environ]
pathlib.Path({BASE!r}, "model", host).write_text(json.dumps(told))
time.sleep(3)
""",
        **instances(2, EnableNetworkIsolation=True),
    )
    job = training.ended()
    assert job["TrainingJobStatus"] == "Completed", (job, training.logs.lines)
    told = [["a", "b", "c", "d", "e"], True, False, False]
    assert training.model() == {"algo-1": told, "algo-2": told}


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

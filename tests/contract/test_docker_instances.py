"""Training jobs on several instances as real containers: they find each other, end together, and leave nothing."""

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.contract.docker_environment import LONG_S
from tests.contract.docker_training import DockerTraining
from tests.unit.plugin.fakes import SCOPE
from tests.unit.plugin.training.training_requests import algorithm, channel, resources

SHARDED = [channel(source={"S3DataDistributionType": "ShardedByS3Key"})]
MEET = """
import json, socket
resources = json.loads(pathlib.Path("/opt/ml/input/config/resourceconfig.json").read_text())
me, hosts = resources["current_host"], resources["hosts"]
server = socket.create_server(("", 7777))
found = []
for host in hosts:
    for attempt in range(300):
        try:
            socket.create_connection((host, 7777), 1).close()
            found.append(host)
            break
        except OSError:
            time.sleep(0.1)
data = sorted(path.name for path in pathlib.Path("/opt/ml/input/data/train").iterdir())
pathlib.Path(f"/opt/ml/model/{me}").write_text(json.dumps([socket.gethostname(), found, data]))
for _ in hosts:
    server.accept()
"""
ONE_DIES = """
if os.uname().nodename == "algo-2":
    pathlib.Path("/opt/ml/output/failure").write_text("no such class: cat")
    sys.exit(3)
time.sleep(300)
"""


@pytest.fixture
def environment(docker_image: str, tmp_path: Path) -> Iterator[DockerTraining]:
    made = DockerTraining(docker_image, tmp_path)
    yield made
    made.docker.close()


@pytest.mark.parametrize("count", [1, 3])
def test_the_hosts_find_each_other_and_have_their_shares(environment: DockerTraining, count: int) -> None:
    environment.create(MEET, **resources(InstanceCount=count), InputDataConfig=SHARDED)
    job = environment.ended()
    assert job["TrainingJobStatus"] == "Completed", (job, environment.logs.lines)
    hosts = [f"algo-{number}" for number in range(1, count + 1)]
    shares = {1: [["a", "b", "c", "d", "e"]], 3: [["a", "d"], ["b", "e"], ["c"]]}[count]
    assert environment.model() == {host: [host, hosts, share] for host, share in zip(hosts, shares, strict=True)}
    assert [lines[0] for lines in environment.logs.lines.values()] == [
        f"Stagemaker: {host} runs on CPU" for host in hosts
    ]
    assert job["SecondaryStatusTransitions"][2]["StatusMessage"].endswith("Training in progress. Runs on CPU.")
    assert environment.left() == []


def test_one_that_dies_takes_the_others_with_it(environment: DockerTraining) -> None:
    environment.create(ONE_DIES, **resources(InstanceCount=2))
    assert environment.ended()["FailureReason"] == "AlgorithmError: algo-2: no such class: cat, exit code: 3"
    assert environment.left() == []


def test_a_stop_ends_all(environment: DockerTraining) -> None:
    environment.create("print('ready'); time.sleep(300)", **resources(InstanceCount=2))
    end = time.monotonic() + LONG_S
    while sum("ready" in lines for lines in environment.logs.lines.values()) < 2:
        assert time.monotonic() < end, environment.logs.lines
        time.sleep(0.02)
    environment.training.stop(SCOPE, {"TrainingJobName": "job"})
    assert environment.ended()["TrainingJobStatus"] == "Stopped"
    assert environment.left() == []


def test_an_entry_point_and_arguments_of_the_request_s_own(environment: DockerTraining) -> None:
    program = {"ContainerEntrypoint": ["python", "-c"], "ContainerArguments": ["print('mine')"]}
    environment.create("", **algorithm(TrainingImage=environment.docker.image, **program))
    assert environment.ended()["TrainingJobStatus"] == "Completed"
    assert [lines[1:] for lines in environment.logs.lines.values()] == [["mine"]]


def test_an_entry_point_that_is_not_there_says_so(environment: DockerTraining) -> None:
    environment.create("", **algorithm(TrainingImage=environment.docker.image, ContainerEntrypoint=["nothing"]))
    reason = environment.ended()["FailureReason"]
    assert reason.startswith("ClientError: The image ")
    assert "cannot run 'nothing'" in reason
    assert environment.left() == []

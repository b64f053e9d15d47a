"""Training jobs on several instances as real containers: they find each other, end together, and leave nothing."""

import io
import json
import tarfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from stagemaker.core.store import MemoryStore
from stagemaker.jobs.job import JobContext
from stagemaker.jobs.jobs import Jobs
from stagemaker.jobs.statuses import ENDED
from stagemaker.training.training import Training
from tests.contract.docker_environment import LONG_S, DockerEnvironment
from tests.unit.plugin.fakes import SCOPE, FakeAws, FakeLogs
from tests.unit.plugin.training.training_requests import algorithm, channel, request, resources

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


class Environment:
    """Training jobs on a Docker runtime of their own."""

    def __init__(self, image: str, folder: Path) -> None:
        self.docker = DockerEnvironment(image, folder)
        self.account = FakeAws({f"s3://bucket/train/{name}": b"x" for name in "abcde"})
        self.logs, self.supervisor, self.work_dir = FakeLogs(), self.docker.supervisor, folder / "work"
        context = JobContext(
            MemoryStore(), self.docker.runtime, self.account, self.logs, time.time, self.supervisor, self.work_dir
        )
        self.training = Jobs(Training(), context)

    def create(self, source: str, **changes: Any) -> None:
        given = request(**{**algorithm(TrainingImage=self.docker.image), **changes}, Environment={"SOURCE": source})
        self.training.create(SCOPE, given)

    def ended(self) -> dict[str, Any]:
        end = time.monotonic() + LONG_S
        while (job := self.describe())["TrainingJobStatus"] not in ENDED:
            assert time.monotonic() < end, (job, self.logs.lines)
            time.sleep(0.02)
        return job

    def describe(self) -> dict[str, Any]:
        return self.training.describe(SCOPE, {"TrainingJobName": "job"})

    def model(self) -> dict[str, Any]:
        with tarfile.open(fileobj=io.BytesIO(self.account.objects["s3://bucket/out/job/output/model.tar.gz"])) as tar:
            return {name: json.load(file) for name in tar.getnames() if (file := tar.extractfile(name))}

    def left(self) -> list[str]:
        return [*self.docker.left(), *(path.name for path in self.work_dir.glob("*/*"))]


@pytest.fixture
def environment(docker_image: str, tmp_path: Path) -> Iterator[Environment]:
    made = Environment(docker_image, tmp_path)
    yield made
    made.docker.close()


@pytest.mark.parametrize("count", [1, 3])
def test_the_hosts_find_each_other_and_have_their_shares(environment: Environment, count: int) -> None:
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


def test_one_that_dies_takes_the_others_with_it(environment: Environment) -> None:
    environment.create(ONE_DIES, **resources(InstanceCount=2))
    assert environment.ended()["FailureReason"] == "AlgorithmError: algo-2: no such class: cat, exit code: 3"
    assert environment.left() == []


def test_a_stop_ends_all(environment: Environment) -> None:
    environment.create("print('ready'); time.sleep(300)", **resources(InstanceCount=2))
    end = time.monotonic() + LONG_S
    while sum("ready" in lines for lines in environment.logs.lines.values()) < 2:
        assert time.monotonic() < end, environment.logs.lines
        time.sleep(0.02)
    environment.training.stop(SCOPE, {"TrainingJobName": "job"})
    assert environment.ended()["TrainingJobStatus"] == "Stopped"
    assert environment.left() == []


def test_an_entry_point_and_arguments_of_the_request_s_own(environment: Environment) -> None:
    program = {"ContainerEntrypoint": ["python", "-c"], "ContainerArguments": ["print('mine')"]}
    environment.create("", **algorithm(TrainingImage=environment.docker.image, **program))
    assert environment.ended()["TrainingJobStatus"] == "Completed"
    assert [lines[1:] for lines in environment.logs.lines.values()] == [["mine"]]


def test_an_entry_point_that_is_not_there_says_so(environment: Environment) -> None:
    environment.create("", **algorithm(TrainingImage=environment.docker.image, ContainerEntrypoint=["nothing"]))
    reason = environment.ended()["FailureReason"]
    assert reason.startswith("ClientError: The image ")
    assert "cannot run 'nothing'" in reason
    assert environment.left() == []

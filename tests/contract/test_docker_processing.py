"""Processing jobs in real containers, in the forms that AWS's SDKs send them."""

import io
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
from stagemaker.processing.processing import Processing
from tests.contract.docker_environment import LONG_S, DockerEnvironment
from tests.unit.plugin.fakes import SCOPE, FakeAws, FakeLogs
from tests.unit.plugin.processing.processing_requests import INPUT, OUTPUT, cluster, output, request, source

SCRIPT = """
import json, pathlib, socket, sys, time
config = json.loads(pathlib.Path("/opt/ml/config/resourceconfig.json").read_text())
def address(host):
    for _ in range(200):  # a host that starts later is not known by its name at once
        try:
            return socket.gethostbyname(host)
        except OSError:
            time.sleep(0.05)
addresses = {address(host) for host in config["hosts"]}
rows = sum(len(path.read_text()) for path in pathlib.Path("/opt/ml/processing/input/train").iterdir())
out = pathlib.Path("/opt/ml/processing/output")
(out / f"{config['current_host']}.txt").write_text(f"{sys.argv[1:]} {rows} {len(addresses)}")
pathlib.Path("/opt/ml/output/message").write_text("done by " + config["current_host"])
"""
# What FrameworkProcessor of both SDKs sends: a shell script beside the code, which unpacks it, installs, and runs.
RUNPROC = """#!/bin/bash
set -e
cd /opt/ml/processing/input/code/
tar -xzf sourcedir.tar.gz
exec python3 main.py "$@"
"""


class DockerProcessing:
    """Processing jobs on a Docker runtime of their own; `objects` is S3."""

    def __init__(self, image: str, folder: Path) -> None:
        self.docker = DockerEnvironment(image, folder)
        self.account, self.logs, self.work_dir = FakeAws(), FakeLogs(), folder / "work"
        self.account.objects |= {f"s3://bucket/train/{name}": b"row" for name in "abcd"} | {"s3://bucket/out/": b""}
        context = JobContext(
            MemoryStore(),
            self.docker.runtime,
            self.account,
            self.logs,
            time.time,
            self.docker.supervisor,
            self.work_dir,
        )
        self.jobs = Jobs(Processing(), context)

    def run(self, entrypoint: list[str], arguments: list[str], **changes: Any) -> dict[str, Any]:
        application = {
            "ImageUri": self.docker.image,
            "ContainerEntrypoint": entrypoint,
            "ContainerArguments": arguments,
        }
        self.jobs.create(SCOPE, request(AppSpecification=application, **changes))
        end = time.monotonic() + LONG_S
        while (job := self.jobs.describe(SCOPE, {"ProcessingJobName": "job"}))["ProcessingJobStatus"] not in ENDED:
            assert time.monotonic() < end, (job, self.logs.lines)
            time.sleep(0.02)
        assert [*self.docker.left(), *(path.name for path in self.work_dir.glob("*/*"))] == []
        return job


@pytest.fixture
def processing(docker_image: str, tmp_path: Path) -> Iterator[DockerProcessing]:
    made = DockerProcessing(docker_image, tmp_path)
    yield made
    made.docker.close()


def test_a_script_runs_on_two_instances_that_find_each_other(processing: DockerProcessing) -> None:
    processing.account.objects["s3://bucket/code/main.py"] = SCRIPT.encode()
    inputs = [
        source(path=f"{INPUT}/train", S3DataDistributionType="ShardedByS3Key"),
        source("code", "s3://bucket/code/main.py", f"{INPUT}/code"),
    ]
    program = ["python3", f"{INPUT}/code/main.py"]
    job = processing.run(program, ["--rows", "2"], ProcessingInputs=inputs, **cluster(InstanceCount=2))
    assert job["ProcessingJobStatus"] == "Completed", processing.logs.lines
    assert job["ExitMessage"] == "done by algo-1\ndone by algo-2"
    for host in ("algo-1", "algo-2"):
        assert processing.account.objects[f"s3://bucket/out/{host}.txt"] == b"['--rows', '2'] 6 2"


def test_the_shell_script_of_the_sdks_framework_processor_runs(processing: DockerProcessing) -> None:
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as tar:
        member = tarfile.TarInfo("main.py")
        member.size = len(SCRIPT.encode())
        tar.addfile(member, io.BytesIO(SCRIPT.encode()))
    processing.account.objects |= {
        "s3://bucket/job/code/sourcedir.tar.gz": packed.getvalue(),
        "s3://bucket/job/entrypoint/runproc.sh": RUNPROC.encode(),
    }
    inputs = [
        source(path=f"{INPUT}/train"),
        source("code", "s3://bucket/job/code/", f"{INPUT}/code/"),
        source("entrypoint", "s3://bucket/job/entrypoint/runproc.sh", f"{INPUT}/entrypoint"),
    ]
    job = processing.run(["/bin/bash", f"{INPUT}/entrypoint/runproc.sh"], ["--all"], ProcessingInputs=inputs)
    assert job["ProcessingJobStatus"] == "Completed", processing.logs.lines
    assert processing.account.objects["s3://bucket/out/algo-1.txt"] == b"['--all'] 12 1"


def test_a_failing_script_says_so(processing: DockerProcessing) -> None:
    outputs = {"Outputs": [output(path=OUTPUT)]}
    job = processing.run(["python3", "-c"], ["import sys; sys.exit(7)"], ProcessingOutputConfig=outputs)
    assert (job["ProcessingJobStatus"], job["FailureReason"]) == (
        "Failed",
        "AlgorithmError: See job logs for more information, exit code: 7",
    )

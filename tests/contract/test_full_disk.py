"""A disk that is full, made by a file system of 1 MiB: what training jobs and models say of it, and what they leave."""

import io
import os
import shutil
import subprocess
import tarfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from stagemaker.aws.account import Account
from stagemaker.aws.clients import Clients
from stagemaker.aws.cloudwatch import Logs
from stagemaker.core.refs import Scope
from stagemaker.core.store import MemoryStore
from stagemaker.core.supervisor import Supervisor
from stagemaker.hosting.layout import ModelSource
from stagemaker.hosting.model_data import BadModelData, fetch_model
from stagemaker.jobs.job import JobContext
from stagemaker.jobs.jobs import Jobs
from stagemaker.jobs.statuses import ENDED
from stagemaker.runtime.fake import FakeProgram, FakeRuntime
from stagemaker.training.training import Training
from tests.contract.gateway import PATIENCE_S, Gateway, make_bucket, training_request

SCOPE = Scope("000000000000", "eu-west-1")
FULL = "No space left on the disk that holds LocalStack's data: free some, or use less data"
MIB = 1 << 20


@pytest.fixture
def tiny(tmp_path: Path) -> Iterator[Path]:
    """A folder on a file system of 1 MiB; skips where we may not mount one."""
    folder = tmp_path / "tiny"
    folder.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "tiny", str(folder)], capture_output=True)
    if mounted.returncode != 0:
        pytest.skip(f"cannot mount a small file system: {mounted.stderr.decode().strip()}")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


@pytest.fixture(scope="module")
def account(gateway: Gateway) -> Account:
    with io.BytesIO() as buffer:
        with tarfile.open(fileobj=buffer, mode="w:gz") as tar:
            member = tarfile.TarInfo("weights")
            member.size = 2 * MIB
            tar.addfile(member, io.BytesIO(bytes(2 * MIB)))
        packed = buffer.getvalue()
    make_bucket(gateway, "big", {"train/x": bytes(2 * MIB), "small/x": b"x", "model.tar.gz": packed})
    return Account(Clients(gateway.url))


def leaves_model(program: FakeProgram) -> int:
    """What does not compress: on the disk it fits, with its archive it does not."""
    (program.base / "model" / "weights").write_bytes(os.urandom(600 << 10))
    (program.base / "output" / "data" / "report").write_text("fine")
    return 0


def run(account: Account, gateway: Gateway, role: str, folder: Path, prefix: str) -> dict[str, Any]:
    """A job over that prefix in that folder, to its end."""
    supervisor = Supervisor()
    supervisor.own(lambda: shutil.rmtree(folder, ignore_errors=True))
    runtime = FakeRuntime({"trainer": leaves_model}, supervisor)
    supervisor.own(runtime.close)
    logs = Logs(Clients(gateway.url), time.time, supervisor)
    training = Jobs(Training(), JobContext(MemoryStore(), runtime, account, logs, time.time, supervisor, folder))
    request = training_request(f"full-{prefix}", role, OutputDataConfig={"S3OutputPath": "s3://big/out"})
    request["InputDataConfig"][0]["DataSource"]["S3DataSource"]["S3Uri"] = f"s3://big/{prefix}"
    request["AlgorithmSpecification"]["TrainingImage"] = "stagemaker/trainer"
    try:
        training.create(SCOPE, request)
        return ended(lambda: training.describe(SCOPE, {"TrainingJobName": f"full-{prefix}"}))
    finally:
        supervisor.close()


def ended(describe: Callable[[], dict[str, Any]]) -> dict[str, Any]:
    """The job after its end."""
    end = time.monotonic() + PATIENCE_S
    while (job := describe())["TrainingJobStatus"] not in ENDED:
        assert time.monotonic() < end, job
        time.sleep(0.02)
    return job


@pytest.mark.parametrize(
    ("prefix", "reason"),
    [
        ("train", f"ClientError: S3 key: s3://big/train could not be downloaded: {FULL}"),
        ("small", f"InternalServerError: {FULL}"),  # when the model is packed
    ],
)
def test_a_job_says_so_and_uploads_nothing(
    account: Account, gateway: Gateway, role: str, tiny: Path, prefix: str, reason: str
) -> None:
    job = run(account, gateway, role, tiny / "training", prefix)
    assert (job["TrainingJobStatus"], job["FailureReason"]) == ("Failed", reason)
    assert not account.prefix_has_objects(SCOPE, "s3://big/out")
    assert list(tiny.iterdir()) == []


def test_a_model_that_does_not_fit_is_not_called_a_broken_archive(account: Account, tiny: Path) -> None:
    (tiny / "model").mkdir()
    source = ModelSource("s3://big/model.tar.gz", "archive")
    with pytest.raises(BadModelData) as caught:
        fetch_model(account, SCOPE, source, [tiny / "model"], tiny, 30 << 30)
    assert str(caught.value) == f"Failed to store model data from s3://big/model.tar.gz: {FULL}."


def test_a_model_whose_download_does_not_fit(account: Account, tiny: Path) -> None:
    with pytest.raises(BadModelData) as caught:
        fetch_model(account, SCOPE, ModelSource("s3://big/train/x", "object"), [], tiny, 30 << 30)
    assert str(caught.value).endswith(f"Stagemaker: Could not download s3://big/train/x: {FULL}")
    assert list(tiny.iterdir()) == []

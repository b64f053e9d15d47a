"""The channels of training jobs from S3 to the program, on the fake runtime."""

import gzip
import json
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from stagemaker.runtime.fake import FakeProgram
from tests.unit.plugin.polling import until
from tests.unit.plugin.training.training_environment import DATA, Environment, steps
from tests.unit.plugin.training.training_requests import channel, groups, instances

MANIFEST = "s3://bucket/lists/manifest"


def tells_files(program: FakeProgram) -> int:
    """Writes what is in its channels into its model."""
    data = program.base / "input" / "data"
    files = {path.relative_to(data).as_posix(): path.read_text() for path in data.rglob("*") if path.is_file()}
    (program.base / "model" / program.spec.host).write_text(json.dumps(files))
    return 0


def tells_epochs(count: int) -> Callable[[FakeProgram], int]:
    """Writes what it reads of the channel `train` in its first epochs."""

    def behaves(program: FakeProgram) -> int:
        read = [epoch(program.base, number).decode() for number in range(count)]
        (program.base / "model" / program.spec.host).write_text(json.dumps(read))
        return 0

    return behaves


def epoch(base: Path, number: int) -> bytes:
    fifo = base / "input" / "data" / f"train_{number}"
    until(fifo.exists, f"the FIFO {fifo.name}")
    return fifo.read_bytes()


def seen(environment: Environment) -> dict[str, Any]:
    """What each host wrote into its model."""
    job = environment.ended()
    assert job["TrainingJobStatus"] == "Completed", job["FailureReason"]
    return {host: json.loads(text) for host, text in environment.archive("model").items()}


def listing(**source: Any) -> dict[str, Any]:
    """The source of a channel that reads the manifest."""
    return {"S3DataType": "ManifestFile", "S3Uri": MANIFEST, **source}


def put_manifest(environment: Environment, *suffixes: str) -> None:
    text = json.dumps([{"prefix": "s3://bucket/train/"}, *suffixes])
    environment.account.objects[MANIFEST] = text.encode()


def test_the_files_of_a_manifest(environment: Environment) -> None:
    put_manifest(environment, "dog/2.jpg", "cat/1.jpg", "dog/2.jpg")
    environment.create(tells_files, InputDataConfig=[channel(source=listing())])
    assert seen(environment) == {"algo-1": {"train/cat/1.jpg": "cat", "train/dog/2.jpg": "dog"}}


def test_the_files_of_a_manifest_are_sharded_in_its_order(environment: Environment) -> None:
    put_manifest(environment, "dog/2.jpg", "dog/2.jpg", "cat/1.jpg")
    sharded = listing(S3DataDistributionType="ShardedByS3Key")
    environment.create(tells_files, **instances(2, InputDataConfig=[channel(source=sharded)]))
    assert seen(environment) == {"algo-1": {"train/dog/2.jpg": "dog"}, "algo-2": {"train/cat/1.jpg": "cat"}}


@pytest.mark.parametrize("mode", ["File", "Pipe"])
def test_a_manifest_that_lists_what_is_not_there(environment: Environment, mode: str) -> None:
    def reads_the_first(program: FakeProgram) -> int:
        with (program.base / "input" / "data" / "train_0").open("rb", buffering=0) as file:
            assert file.read(1) == b"c"
            program.sleep(60)
        return 0

    put_manifest(environment, "cat/1.jpg", "cat/none.jpg")
    environment.create(reads_the_first, InputDataConfig=[channel(source=listing(), InputMode=mode)])
    job = environment.ended()
    assert job["TrainingJobStatus"] == "Failed"
    assert job["FailureReason"].startswith("ClientError: S3 key: s3://bucket/train/cat/none.jpg could not be ")
    assert "s3://bucket/out/job/output/model.tar.gz" not in environment.account.objects
    assert not list(environment.work_dir.glob("*/*"))


def test_a_manifest_that_lists_nothing(environment: Environment) -> None:
    put_manifest(environment)
    environment.create(tells_files, InputDataConfig=[channel(source=listing())])
    assert environment.ended()["FailureReason"] == (
        f"ClientError: Data download failed: S3 key: {MANIFEST} matched no files on s3"
    )


def test_a_manifest_that_is_none(environment: Environment) -> None:
    environment.account.objects[MANIFEST] = b"cat/1.jpg"
    environment.create(tells_files, InputDataConfig=[channel(source=listing())])
    reason = environment.ended()["FailureReason"]
    assert reason.startswith(
        f"ClientError: Data download failed: the manifest {MANIFEST} cannot be used: it is no JSON"
    )


def test_fast_file_mode_has_the_same_files(environment: Environment) -> None:
    environment.create(tells_files, InputDataConfig=[channel(InputMode="FastFile")])
    assert seen(environment) == {"algo-1": {"train/cat/1.jpg": "cat", "train/dog/2.jpg": "dog"}}


def test_pipe_mode_gives_one_epoch_after_the_other(environment: Environment) -> None:
    environment.create(tells_epochs(3), InputDataConfig=[channel(InputMode="Pipe")])
    assert seen(environment) == {"algo-1": ["catdog"] * 3}
    assert environment.account.downloaded == []
    assert steps(environment.describe()) == ["Starting", "Downloading", "Training", "Uploading", "Completed"]


def test_pipe_mode_on_several_hosts(environment: Environment) -> None:
    objects = {f"s3://bucket/train/{number}": f"{number} ".encode() for number in range(10)}
    environment.account.objects = dict(objects)
    sharded = channel(InputMode="Pipe", ShuffleConfig={"Seed": 1}, source={"S3DataDistributionType": "ShardedByS3Key"})
    environment.create(tells_epochs(2), **instances(2, InputDataConfig=[sharded]))
    found = seen(environment)
    for number in range(2):
        parts = [set(found[host][number].split()) for host in ("algo-1", "algo-2")]
        assert parts[0] | parts[1] == {str(number) for number in range(10)}
        assert [len(part) for part in parts] == [5, 5]
    assert set(found["algo-1"][0].split()) != set(found["algo-1"][1].split())


def test_gzip_and_record_io(environment: Environment) -> None:
    environment.account.objects["s3://bucket/packed/1"] = gzip.compress(b"one")
    packed = channel(uri="s3://bucket/packed", InputMode="Pipe", CompressionType="Gzip", RecordWrapperType="RecordIO")

    def reads(program: FakeProgram) -> int:
        assert epoch(program.base, 0) == struct.pack("<II", 0xCED7230A, 3) + b"one\0"
        return 0

    environment.create(reads, InputDataConfig=[packed])
    assert environment.ended()["TrainingJobStatus"] == "Completed"


def test_a_program_may_leave_its_fifos_alone(environment: Environment) -> None:
    environment.create(lambda _: 0, InputDataConfig=[channel(InputMode="Pipe")])
    assert environment.ended()["TrainingJobStatus"] == "Completed"


def test_a_program_that_fails_gives_its_own_reason(environment: Environment) -> None:
    def fails(program: FakeProgram) -> int:
        with (program.base / "input" / "data" / "train_0").open("rb", buffering=0) as file:
            file.read(1)
        (program.base / "output" / "failure").write_text("bad photo")
        return 1

    environment.create(fails, InputDataConfig=[channel(InputMode="Pipe")])
    assert environment.ended()["FailureReason"] == "AlgorithmError: bad photo, exit code: 1"


def test_a_stop_ends_a_job_whose_program_reads_nothing(environment: Environment) -> None:
    def waits(program: FakeProgram) -> int:
        program.say("ready")
        program.sleep(60)
        return 0

    environment.create(waits, InputDataConfig=[channel(InputMode="Pipe")])
    environment.ready()
    environment.stop()
    assert environment.ended()["TrainingJobStatus"] == "Stopped"


def test_a_channel_goes_to_the_hosts_of_its_groups(environment: Environment) -> None:
    several = groups(("a", 1), ("b", 2))
    inputs = [
        channel("all"),
        channel("some", source={"InstanceGroupNames": ["b"], "S3DataDistributionType": "ShardedByS3Key"}),
    ]
    environment.create(tells_files, **several, InputDataConfig=inputs)
    files = {name.removeprefix("s3://bucket/train/"): data.decode() for name, data in DATA.items()}
    everything = {f"all/{name}": text for name, text in files.items()}
    assert seen(environment) == {
        "algo-1": everything,
        "algo-2": {**everything, "some/cat/1.jpg": "cat"},
        "algo-3": {**everything, "some/dog/2.jpg": "dog"},
    }
    assert environment.describe()["ResourceConfig"] == several["ResourceConfig"]

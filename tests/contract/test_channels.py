"""The channels of training jobs, read by a real program from a real LocalStack."""

import io
import json
import struct
import tarfile
from contextlib import closing
from typing import Any

import pytest

from tests.contract.gateway import Gateway, ended, make_bucket, training_request, until

# Each program writes what it found as JSON into the model's only file.
READS_FILES = """
found = {p.relative_to(base / "input/data").as_posix(): p.read_text() for p in (base / "input/data").rglob("*.txt")}
(base / "model/found").write_text(json.dumps(found))
sys.exit()
"""
READS_EPOCHS = """
def fifo(number):
    path = base / f"input/data/train_{number}"
    while not path.exists():
        time.sleep(0.01)
    return open(path, "rb", buffering=0)
with fifo(0) as file:
    early = file.read(4)
epochs = [fifo(number).read().hex() for number in (1, 2)]
(base / "model/found").write_text(json.dumps([early.hex(), *epochs]))
sys.exit()
"""
READS_NOTHING = """
print("ready", flush=True)
while not stopped:
    time.sleep(0.02)
"""


@pytest.fixture(scope="module", autouse=True)
def _bucket(gateway: Gateway) -> None:
    make_bucket(gateway, "channels", {f"train/{number}.txt": f"text {number}".encode() for number in range(10)})


def run(gateway: Gateway, role: str, name: str, program: str, mode: str = "File", **changes: Any) -> dict[str, Any]:
    """The description of a job whose only channel is changed so, after its end."""
    sagemaker = gateway.client("sagemaker")
    sagemaker.create_training_job(**request(name, role, program, mode, **changes))
    job: dict[str, Any] = ended(sagemaker, name)
    return job


def request(name: str, role: str, program: str, mode: str, **changes: Any) -> dict[str, Any]:
    source = {"S3DataType": "S3Prefix", "S3Uri": "s3://channels/train/", **changes.pop("source", {})}
    channel = {"ChannelName": "train", "DataSource": {"S3DataSource": source}, "InputMode": mode, **changes}
    output = {"S3OutputPath": "s3://channels/out"}
    return training_request(
        name, role, HyperParameters={"source": json.dumps(program)}, InputDataConfig=[channel], OutputDataConfig=output
    )


def found(gateway: Gateway, job: dict[str, Any]) -> Any:
    assert job["TrainingJobStatus"] == "Completed", job.get("FailureReason")
    key = job["ModelArtifacts"]["S3ModelArtifacts"].removeprefix("s3://channels/")
    archive = io.BytesIO(gateway.client("s3").get_object(Bucket="channels", Key=key)["Body"].read())
    with tarfile.open(fileobj=archive) as tar, closing(tar.extractfile("found") or archive) as file:
        return json.load(file)


def put(gateway: Gateway, key: str, body: bytes) -> str:
    gateway.client("s3").put_object(Bucket="channels", Key=key, Body=body)
    return f"s3://channels/{key}"


def test_pipe_mode(gateway: Gateway, role: str) -> None:
    job = run(gateway, role, "channels-pipe", READS_EPOCHS, "Pipe", RecordWrapperType="RecordIO")
    records = b"".join(struct.pack("<II", 0xCED7230A, 6) + f"text {n}".encode() + b"\0\0" for n in range(10))
    assert found(gateway, job) == [records[:4].hex(), records.hex(), records.hex()]
    assert job["InputDataConfig"][0]["InputMode"] == "Pipe"


def test_an_augmented_manifest(gateway: Gateway, role: str) -> None:
    line = '{"source-ref": "s3://channels/train/%d.txt", "label": %d}\n'
    uri = put(gateway, "lists/augmented", "".join(line % (n % 10, n) for n in range(20)).encode())
    names = ["label", "source-ref"]
    source = {"S3DataType": "AugmentedManifestFile", "S3Uri": uri, "AttributeNames": names}
    job = run(gateway, role, "channels-augmented", READS_EPOCHS, "Pipe", source=source)
    everything = "".join(f"{number}text {number % 10}" for number in range(20)).encode().hex()
    assert found(gateway, job)[1:] == [everything, everything]


def test_a_manifest_of_a_hundred_thousand_entries(gateway: Gateway, role: str) -> None:
    """Of ten objects, so that the test does not take an hour."""
    elements = [{"prefix": "s3://channels/train/"}, *(f"{number % 10}.txt" for number in range(100_000))]
    uri = put(gateway, "lists/long", json.dumps(elements).encode())
    source = {"S3DataType": "ManifestFile", "S3Uri": uri}
    job = run(gateway, role, "channels-manifest", READS_FILES, source=source)
    assert found(gateway, job) == {f"train/{number}.txt": f"text {number}" for number in range(10)}


@pytest.mark.parametrize(
    ("name", "suffix", "reason"),
    [
        (
            "missing",
            "none.txt",
            "S3 key: s3://channels/train/none.txt could not be downloaded: The specified key does not",
        ),
        ("outside", "../x", "The S3 key 'train/../x' cannot be written as a file: rename the object."),
    ],
)
def test_a_bad_entry_of_a_manifest_fails_the_job(
    gateway: Gateway, role: str, name: str, suffix: str, reason: str
) -> None:
    uri = put(gateway, f"lists/{name}", json.dumps([{"prefix": "s3://channels/train/"}, "1.txt", suffix]).encode())
    source = {"S3DataType": "ManifestFile", "S3Uri": uri}
    job = run(gateway, role, f"channels-{name}", READS_FILES, source=source)
    assert job["FailureReason"].startswith(f"ClientError: {reason}")
    listed = gateway.client("s3").list_objects_v2(Bucket="channels", Prefix=f"out/channels-{name}/")
    assert listed["KeyCount"] == 0


def test_a_pipe_that_breaks_fails_the_job(gateway: Gateway, role: str) -> None:
    uri = put(gateway, "lists/broken", json.dumps([{"prefix": "s3://channels/train/"}, "1.txt", "none.txt"]).encode())
    source = {"S3DataType": "ManifestFile", "S3Uri": uri}
    job = run(gateway, role, "channels-broken", READS_EPOCHS.replace("read(4)", "read()"), "Pipe", source=source)
    assert job["FailureReason"] == (
        "ClientError: S3 key: s3://channels/train/none.txt could not be read: The specified key does not exist."
    )


def test_a_stop_ends_a_job_whose_fifo_nobody_opens(gateway: Gateway, role: str) -> None:
    sagemaker = gateway.client("sagemaker")
    sagemaker.create_training_job(**request("channels-stop", role, READS_NOTHING, "Pipe"))
    until(
        lambda: sagemaker.describe_training_job(TrainingJobName="channels-stop")["SecondaryStatus"],
        lambda status: status == "Training",
    )
    sagemaker.stop_training_job(TrainingJobName="channels-stop")
    assert ended(sagemaker, "channels-stop")["TrainingJobStatus"] == "Stopped"


def test_an_instance_group(gateway: Gateway, role: str) -> None:
    tells = "(base / 'model/found').write_text((base / 'input/config/resourceconfig.json').read_text()); sys.exit()"
    given = request("channels-group", role, tells, "File", source={"InstanceGroupNames": ["only"]})
    group = {"InstanceGroupName": "only", "InstanceType": "ml.m5.large", "InstanceCount": 1}
    given["ResourceConfig"] = {"InstanceGroups": [group], "VolumeSizeInGB": 10}
    sagemaker = gateway.client("sagemaker")
    sagemaker.create_training_job(**given)
    job = ended(sagemaker, "channels-group")
    assert found(gateway, job)["current_group_name"] == "only"
    assert job["ResourceConfig"] == given["ResourceConfig"]
    given["ResourceConfig"]["InstanceGroups"] = [{**group, "InstanceCount": 2}]
    with pytest.raises(sagemaker.exceptions.ClientError, match="Several instances need Docker"):
        sagemaker.create_training_job(**{**given, "TrainingJobName": "channels-groups"})


def test_what_aws_refuses_is_refused(gateway: Gateway, role: str) -> None:
    sagemaker = gateway.client("sagemaker")
    with pytest.raises(
        sagemaker.exceptions.ClientError, match="CompressionType Gzip needs the input mode Pipe"
    ) as caught:
        sagemaker.create_training_job(**request("channels-no", role, READS_FILES, "File", CompressionType="Gzip"))
    assert caught.value.response["Error"]["Code"] == "ValidationException"

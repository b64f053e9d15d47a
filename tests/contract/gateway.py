"""A real LocalStack whose images are small scripts, and what tests of it share.

The process runtime runs the scripts as it runs the real images, but in the environment of the tests.
"""

import json
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import boto3
from botocore.config import Config

from tests.contract.localstack_process import ROOT, LocalStack, running_localstack

PATIENCE_S = 60
REGION = "eu-west-1"
TRAINER = "stagemaker/trainer:test"
SERVER = "stagemaker/serve:test"

FULL_ACCESS = {  # to what jobs and endpoints use
    "Version": "2012-10-17",
    "Statement": [
        {
            "Effect": "Allow",
            "Action": ["sagemaker:*", "s3:*", "logs:*", "cloudwatch:*", "ecr:*", "sns:*"],
            "Resource": "*",
        }
    ],
}

TRAIN = """
import json, os, pathlib, signal, sys, time
base = pathlib.Path(os.environ["SAGEMAKER_BASE_DIR"])
if (base / "config/processingjobconfig.json").exists():
    (base / "output/message").write_text("processed")
    (base / "processing/output/report.txt").write_text(" ".join(os.listdir(base / "processing/input")))
    time.sleep(60 if "wait" in os.environ else 0)
    sys.exit(0)
wishes = json.loads((base / "input/config/hyperparameters.json").read_text())
stopped = []
resumed = (base / "checkpoints/last.txt").exists()
signal.signal(signal.SIGTERM, lambda *_: stopped.append(True))
if "source" in wishes:
    exec(json.loads(wishes["source"]))
print("environment", json.dumps({k: v for k, v in os.environ.items() if k.startswith(("AWS_", "TRAINING_"))}))
print("data", sorted(p.relative_to(base).as_posix() for p in (base / "input/data").rglob("*") if p.is_file()))
print("accuracy=0.5 \\xe9t\\xe9", flush=True)
if "flood" in wishes:
    os.execvp("yes", ["yes", wishes["flood"]])
if "failure" in wishes:
    (base / "output/failure").write_text(wishes["failure"])
    sys.exit(3)
(base / "model/weights.txt").write_text("trained")
(base / "output/data/report.txt").write_text("fine")
if "checkpoint" in wishes:
    (base / "checkpoints/last.txt").write_text(wishes["checkpoint"])
curve = wishes.get("curve", "").split()
for value in curve:
    print(f"accuracy={value}", flush=True)
while ("wait" in wishes or "wait" in curve) and not stopped and not resumed:
    time.sleep(0.02)
print("accuracy=0.75")
"""

SERVE = """
import http.server, json, os, pathlib
weights = (pathlib.Path(os.environ["SAGEMAKER_BASE_DIR"]) / "model/weights.txt").read_bytes()
class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    def log_message(self, *_): pass
    def do_GET(self): self.answer(200, b"")
    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        if body.startswith(b"python "):
            return exec(body[7:].decode(), {"self": self})
        if body == b"broken":
            return self.answer(500, b"it broke")
        if body.startswith(b"tell"):
            told = "|".join(self.headers.get(name, "") for name in ("Content-Type", "Accept"))
            return self.answer(200, told.encode() + b"|" + body)
        if "top-k" in self.headers.get("Accept", ""):
            return self.answer(200, json.dumps([[{"label": weights.decode(), "probability": 1.0}]]).encode())
        self.answer(200, weights + b" " + body)
    def answer(self, status, body):
        self.send_response(status)
        self.send_header("Content-Type", "text/plain")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
address = os.environ["STAGEMAKER_BIND_HOST"], int(os.environ["SAGEMAKER_BIND_TO_PORT"])
http.server.ThreadingHTTPServer(address, Handler).serve_forever()
"""


@dataclass(frozen=True)
class Gateway:
    """LocalStack as it runs."""

    localstack: LocalStack

    @property
    def url(self) -> str:
        """Of the gateway."""
        return self.localstack.endpoint

    @property
    def pid(self) -> int:
        """Of LocalStack's process."""
        return self.localstack.process.pid

    def log(self) -> str:
        """LocalStack's output so far."""
        return (self.localstack.folder / "log.txt").read_text()

    def client(self, service: str, account: str = "000000000000") -> Any:
        """A boto3 client of the account, without retries: a test sees the first answer."""
        return boto3.client(
            service,
            endpoint_url=self.url,
            region_name=REGION,
            aws_access_key_id=account,
            aws_secret_access_key="test",
            config=Config(retries={"total_max_attempts": 1}),
        )


@contextmanager
def running(folder: Path, **environment: str) -> Iterator[Gateway]:
    """LocalStack with the small images and more of its settings, from its start to its orderly end."""
    images, environments = folder / "images", folder / "environments"
    environments.mkdir()
    for name, command, text in (("trainer", "train", TRAIN), ("serve", "serve", SERVE)):
        (images / name).mkdir(parents=True)
        (images / name / command).write_text(text)
        (environments / name).symlink_to(sys.prefix)
    (environments / "lambda").symlink_to(ROOT / ".stagemaker" / "env" / "lambda")
    settings = {
        "STAGEMAKER_IMAGES": str(images),
        "STAGEMAKER_ENVIRONMENTS": str(environments),
        "DEBUG": "0",
        **environment,
    }
    with running_localstack(folder / "localstack", **settings) as started:
        yield Gateway(started)
    assert started.process.returncode == 0


def until(read: Callable[[], Any], condition: Callable[[Any], bool]) -> Any:
    """Poll until it is so, with a bound."""
    end = time.monotonic() + PATIENCE_S
    while not condition(value := read()):
        assert time.monotonic() < end, f"not within {PATIENCE_S} s: {value}"
        time.sleep(0.02)
    return value


def endpoint_gone(sagemaker: Any, name: str) -> None:
    """Wait until the endpoint is deleted. Others of the shared gateway stay as they are."""
    until(
        lambda: sagemaker.list_endpoints(NameContains=name)["Endpoints"],
        lambda endpoints: name not in [endpoint["EndpointName"] for endpoint in endpoints],
    )


def make_role(
    gateway: Gateway,
    name: str,
    service: str = "sagemaker.amazonaws.com",
    *,
    client: Any = None,
    policy: Mapping[str, Any] | None = FULL_ACCESS,
) -> str:
    """A role that trusts the service and has the inline policy `rights`, if any; its ARN. `client` is of IAM, else the
    gateway's own."""
    statement = {"Effect": "Allow", "Principal": {"Service": service}, "Action": "sts:AssumeRole"}
    trust = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
    iam = client or gateway.client("iam")
    arn: str = iam.create_role(RoleName=name, AssumeRolePolicyDocument=trust)["Role"]["Arn"]
    if policy is not None:
        iam.put_role_policy(RoleName=name, PolicyName="rights", PolicyDocument=json.dumps(policy))
    return arn


def processing_request(name: str, role: str, **more: Any) -> dict[str, Any]:
    """A CreateProcessingJob request for the small images' program: it writes report.txt to s3://data/out/<name>/."""
    places = {kind: f"/opt/ml/processing/{kind}" for kind in ("input", "output")}
    source = {"S3Uri": "s3://data/train", "LocalPath": places["input"], "S3DataType": "S3Prefix", "S3InputMode": "File"}
    target = {"S3Uri": f"s3://data/out/{name}", "LocalPath": places["output"], "S3UploadMode": "EndOfJob"}
    cluster = {"InstanceCount": 1, "InstanceType": "ml.m5.large", "VolumeSizeInGB": 1}
    return {
        "ProcessingJobName": name,
        "RoleArn": role,
        "AppSpecification": {"ImageUri": TRAINER, "ContainerArguments": ["train"]},
        "ProcessingInputs": [{"InputName": "data", "S3Input": source}],
        "ProcessingOutputConfig": {"Outputs": [{"OutputName": "report", "S3Output": target}]},
        "ProcessingResources": {"ClusterConfig": cluster},
        **more,
    }


def transform_request(name: str, model: str, **more: Any) -> dict[str, Any]:
    """A CreateTransformJob request: every object of s3://data/train/ to one below s3://data/out/<name>/."""
    source = {"S3DataSource": {"S3DataType": "S3Prefix", "S3Uri": "s3://data/train/"}}
    return {
        "TransformJobName": name,
        "ModelName": model,
        "TransformInput": {"DataSource": source, "ContentType": "text/plain"},
        "TransformOutput": {"S3OutputPath": f"s3://data/out/{name}"},
        "TransformResources": {"InstanceType": "ml.m5.large", "InstanceCount": 1},
        **more,
    }


def make_bucket(gateway: Gateway, name: str, objects: dict[str, bytes]) -> None:
    """A bucket with these objects."""
    s3 = gateway.client("s3")
    s3.create_bucket(Bucket=name, CreateBucketConfiguration={"LocationConstraint": REGION})
    for key, body in objects.items():
        s3.put_object(Bucket=name, Key=key, Body=body)


def training_request(name: str, role: str, **changes: Any) -> dict[str, Any]:
    """A small job over s3://data/train."""
    source = {"S3DataSource": {"S3DataType": "S3Prefix", "S3Uri": "s3://data/train"}}
    return {
        "TrainingJobName": name,
        "RoleArn": role,
        "AlgorithmSpecification": {
            "TrainingImage": TRAINER,
            "TrainingInputMode": "File",
            "MetricDefinitions": [{"Name": "accuracy", "Regex": "accuracy=([0-9.]+)"}],
        },
        "InputDataConfig": [{"ChannelName": "train", "DataSource": source}],
        "OutputDataConfig": {"S3OutputPath": "s3://data/out"},
        "ResourceConfig": {"InstanceType": "ml.m5.large", "InstanceCount": 1, "VolumeSizeInGB": 10},
        "StoppingCondition": {"MaxRuntimeInSeconds": 600},
        **changes,
    }


def ended(sagemaker: Any, name: str) -> Any:
    """The job's description after its end."""
    return until(
        lambda: sagemaker.describe_training_job(TrainingJobName=name),
        lambda job: job["TrainingJobStatus"] in ("Completed", "Failed", "Stopped"),
    )

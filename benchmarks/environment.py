"""The environment of a benchmark: a stack in containers of its own, next to one that is in use, and a tiny image."""

import json
import os
import subprocess
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import boto3

from benchmarks.ports import free_port
from infra import hosts
from infra.hosts.host import Host
from infra.hosts.process import ProcessHost
from infra.paths import Paths, paths

PROJECT = "stagemaker-bench"
IMAGE = "stagemaker-bench:latest"
ROLE = "arn:aws:iam::000000000000:role/bench"
SERVE, TRAIN = "stagemaker/serve:latest", "stagemaker/trainer:latest"  # in a stack of processes
_SERVER = """\
import os
import signal
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    wbufsize = -1

    def do_GET(self):
        self.answer(b"")

    def do_POST(self):
        self.answer(self.rfile.read(int(self.headers["Content-Length"])))

    def answer(self, body):
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


signal.signal(signal.SIGTERM, lambda *_: os._exit(0))  # the first process of a container must ask for it
host, port = os.environ.get("STAGEMAKER_BIND_HOST", "0.0.0.0"), int(os.environ.get("SAGEMAKER_BIND_TO_PORT", "8080"))
ThreadingHTTPServer((host, port), Handler).serve_forever()
"""
_DOCKERFILE = """\
FROM python:3.13-slim
LABEL com.stagemaker=1
COPY --chmod=755 train serve /usr/local/bin/
STOPSIGNAL SIGKILL
"""


@contextmanager
def image() -> Iterator[str]:
    """An image whose `train` ends at once, and whose `serve` answers every GET with 200 and a POST with its body."""
    with tempfile.TemporaryDirectory() as folder:
        for name, text in (
            ("Dockerfile", _DOCKERFILE),
            ("train", "#!/bin/sh\nexit 0\n"),
            ("serve", f"#!/usr/local/bin/python3\n{_SERVER}"),
        ):
            (Path(folder) / name).write_text(text)
        docker("build", "--quiet", "--tag", IMAGE, folder)
    try:
        yield IMAGE
    finally:
        for container in docker("ps", "--all", "--quiet", "--filter", f"ancestor={IMAGE}").split():
            docker("rm", "--force", container)
        docker("image", "rm", "--force", IMAGE)


@contextmanager
def stack() -> Iterator[boto3.Session]:
    """A running stack with the role `bench` and the bucket `bench`. The clients of the session reach it."""
    os.environ |= {"STAGEMAKER_PROJECT": PROJECT, "REGISTRY_PORT": str(free_port())}
    with _running(hosts.choose(docker=True)) as session:
        yield session


@contextmanager
def process_stack(**variables: str) -> Iterator[boto3.Session]:
    """As `stack`, but of plain processes, with the code of this checkout, and with more environment `variables`. Its
    image SERVE is the tiny server, and TRAIN a program that ends at once."""
    with process_stack_with_paths(**variables) as (session, _):
        yield session


@contextmanager
def process_stack_with_paths(**variables: str) -> Iterator[tuple[boto3.Session, Paths]]:
    """As `process_stack`, and where its files lie."""
    with tempfile.TemporaryDirectory() as folder:
        images = Path(folder) / "images"
        for name, program, text in (("serve", "serve", _SERVER), ("trainer", "train", "")):
            (images / name).mkdir(parents=True)
            (images / name / program).write_text(text)
        places = replace(paths(), images=images, state=Path(folder) / "state")
        with _running(ProcessHost(places, {**os.environ, **variables})) as session:
            yield session, places


@contextmanager
def _running(host: Host) -> Iterator[boto3.Session]:
    running = host.start(free_port(), stays=True)
    try:
        os.environ["AWS_ENDPOINT_URL"] = running.endpoint
        session = boto3.Session("test", "test", region_name="us-east-1")
        session.client("s3").create_bucket(Bucket="bench")
        make_role(session.client("iam"))
        yield session
    finally:
        os.environ.pop("AWS_ENDPOINT_URL", None)
        host.stop()


def make_role(iam: Any) -> None:
    """The role `bench`, which SageMaker may take and which may do everything."""
    trust = {"Effect": "Allow", "Principal": {"Service": "sagemaker.amazonaws.com"}, "Action": "sts:AssumeRole"}
    everything = {"Effect": "Allow", "Action": "*", "Resource": "*"}
    iam.create_role(RoleName="bench", AssumeRolePolicyDocument=_document(trust))
    iam.put_role_policy(RoleName="bench", PolicyName="everything", PolicyDocument=_document(everything))


def _document(statement: Mapping[str, Any]) -> str:
    return json.dumps({"Version": "2012-10-17", "Statement": [statement]})


def docker(*arguments: str) -> str:
    """Runs a docker command and returns what it prints. Raises CalledProcessError when it fails."""
    done = subprocess.run(["docker", *arguments], capture_output=True, text=True, check=True)
    return done.stdout.strip()


def training_request(name: str) -> dict[str, Any]:
    """The request of CreateTrainingJob for the tiny image, without input data."""
    return {
        "TrainingJobName": name,
        "AlgorithmSpecification": {"TrainingImage": IMAGE, "TrainingInputMode": "File"},
        "RoleArn": ROLE,
        "OutputDataConfig": {"S3OutputPath": "s3://bench/output"},
        "ResourceConfig": {"InstanceType": "ml.m5.large", "InstanceCount": 1, "VolumeSizeInGB": 1},
        "StoppingCondition": {"MaxRuntimeInSeconds": 60},
    }

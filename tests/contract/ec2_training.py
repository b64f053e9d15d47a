"""A stage with hosts and an ECR that has a small trainer, and the command line of `infra` against it."""

import base64
import io
import os
import socket
import socketserver
import struct
import subprocess
import tarfile
import threading
import zlib
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.ports import free_port
from tests.commands import ended
from tests.contract.ec2_stack import Ec2Stack, ec2_stack
from tests.contract.gateway import until
from tests.contract.localstack_process import ROOT
from tests.contract.registry_stack import docker, run, running_service

CLIENT = ROOT / ".stagemaker" / "env" / "client" / "bin" / "python"
LIMIT_S = 240.0
ACCOUNT, REGION = "000000000000", "us-east-1"
# Trains as the hyperparameter `mode` says: `fail`, `long` (until SIGTERM, or from a checkpoint), `large` (the same with
# another checkpoint of 64 MB every two seconds), else at once.
TRAIN = """#!/bin/bash
cd /opt/ml
wishes=$(<input/config/hyperparameters.json)
save() { echo -n "$1" >model/model.safetensors; }
echo "epoch=1 train_loss=0.5 valid_loss=0.4 valid_accuracy=0.9"
case $wishes in
    *'"mode": "fail"'*) echo -n "no photos here" >output/failure; exit 1 ;;
    *'"mode": "large"'*)
        if [[ -e checkpoints/last ]]; then
            read -r number <checkpoints/last
            save "resumed from $number"
            exit 0
        fi
        trap 'exit 0' TERM
        for ((number = 1; ; number++)); do
            printf -v line '%-1048575d\n' "$number"
            for _ in {1..64}; do printf '%s' "$line"; done >checkpoints/.next
            mv checkpoints/.next checkpoints/last
            for _ in {1..20}; do sleep 0.1; done
        done ;;
    *'"mode": "long"'*)
        [[ ! -e checkpoints/last ]] || { save "resumed from $(<checkpoints/last)"; exit 0; }
        echo -n 1 >checkpoints/last
        save "not at its end"
        trap 'exit 0' TERM
        while :; do sleep 0.1; done ;;
esac
channels=(input/data/*)
save "weights of ${#channels[@]} channels"
"""
PROGRAMS = ("bash", "sleep", "mv")


@dataclass(frozen=True)
class Ec2Training:
    """A stage, and a folder with a data set and presets, whose names are those of their projects."""

    stack: Ec2Stack
    folder: Path
    data: Path

    def preset(self, project: str, *lines: str) -> Path:
        """One with an EC2 host that also has these lines."""
        path = self.folder / f"{project}.toml"
        table = ["[ec2]", 'instance_type = "m5.xlarge"', 'ami = "amazon-linux-2023"', *lines]
        path.write_text("\n".join([f'project = "{project}"', *table, ""]))
        return path

    def start(self, verb: str, preset: Path, *arguments: str) -> "subprocess.Popen[str]":
        """The command, running. What it says comes on stdout."""
        data = () if verb == "destroy" else ("--data", str(self.data))
        kept = {name: os.environ[name] for name in ("PATH", "HOME", "LANG") if name in os.environ}
        return subprocess.Popen(
            [
                str(ROOT / ".stagemaker/env/client/bin/python"),
                "-m",
                "infra",
                verb,
                "--preset",
                str(preset),
                *data,
                *arguments,
            ],
            cwd=ROOT,
            env={**kept, "COLUMNS": "300", "AWS_ENDPOINT_URL": self.stack.localstack.endpoint},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def run(self, verb: str, preset: Path, *arguments: str) -> tuple[int, str]:
        """The exit code of the command, and all that it said."""
        return ended(self.start(verb, preset, *arguments), LIMIT_S)

    def instances(self, project: str) -> list[dict[str, Any]]:
        """The project's, ended ones too."""
        found = self.stack.ec2.describe_instances(Filters=self._tagged(project))["Reservations"]
        return [one for reservation in found for one in reservation["Instances"]]

    def is_over(self, project: str) -> None:
        """Wait until each of its instances is terminated."""
        until(
            lambda: {one["State"]["Name"] for one in self.instances(project)},
            lambda states: states == {"terminated"},
        )

    def runs(self, project: str) -> list[str]:
        """The names of its runs, by what is in S3."""
        return sorted({key.split("/")[2] for key in self._all_keys(project) if key.startswith("models/ec2/")})

    def keys(self, project: str, name: str) -> set[str]:
        """What is in S3 of a run, below its folder."""
        folder = f"models/ec2/{name}/"
        return {key.removeprefix(folder) for key in self._all_keys(project) if key.startswith(folder)}

    def model(self, project: str, name: str) -> bytes:
        """The weights in the run's archive."""
        with tarfile.open(fileobj=io.BytesIO(self.read(project, name, "output/model.tar.gz"))) as tar:
            found = tar.extractfile("model.safetensors")
            assert found
            return found.read()

    def is_uploading(self, project: str) -> bool:
        """Whether a large object is on its way to the project's bucket."""
        return "Uploads" in self.stack.s3.list_multipart_uploads(Bucket=_bucket(project))

    def read(self, project: str, name: str, key: str) -> bytes:
        """An object in the run's folder."""
        body = self.stack.s3.get_object(Bucket=_bucket(project), Key=f"models/ec2/{name}/{key}")["Body"]
        return bytes(body.read())

    def left(self, project: str) -> list[str]:
        """What there is of the project's hosts: by its tag, or by its name."""
        ec2, iam, tagged = self.stack.ec2, self.stack.iam, self._tagged(project)
        return [
            *(one["InstanceId"] for one in self.instances(project) if one["State"]["Name"] != "terminated"),
            *(one["LaunchTemplateName"] for one in ec2.describe_launch_templates(Filters=tagged)["LaunchTemplates"]),
            *(one["GroupName"] for one in ec2.describe_security_groups(Filters=tagged)["SecurityGroups"]),
            *(
                one["InstanceProfileName"]
                for one in iam.list_instance_profiles()["InstanceProfiles"]
                if one["InstanceProfileName"].startswith(project)
            ),
            *(one["RoleName"] for one in iam.list_roles()["Roles"] if one["RoleName"].startswith(project)),
        ]

    def _all_keys(self, project: str) -> list[str]:
        with suppress(self.stack.s3.exceptions.NoSuchBucket):
            return [one["Key"] for one in self.stack.s3.list_objects_v2(Bucket=_bucket(project)).get("Contents", ())]
        return []

    def _tagged(self, project: str) -> list[dict[str, Any]]:
        return [{"Name": "tag:stagemaker:project", "Values": [project]}]


def _bucket(project: str) -> str:
    return f"{project}-{ACCOUNT}-{REGION}"


@contextmanager
def ec2_training(folder: Path) -> Iterator[Ec2Training]:
    """With nothing left of it. Nothing is compressed in time: a host asks for a spot notice every five seconds."""
    port = free_port()
    with running_service() as service:
        registry = {"STAGEMAKER_REGISTRY_URL": service.url, "STAGEMAKER_REGISTRY_PORT": str(port)}
        with ec2_stack(folder, **registry, STAGEMAKER_TIME_COMPRESSION="1") as stack, _forwarder(stack.gateway, port):
            image = _push(stack, folder, port)
            try:
                yield Ec2Training(stack, folder, _data_set(folder / "photos"))
            finally:
                run("image", "rm", "--force", image)


def _data_set(folder: Path) -> Path:
    """A photo of each of two classes in every split."""
    for split in ("train", "valid", "test"):
        for shade, label in enumerate(("cat", "dog")):
            path = folder / split / label / "one.png"
            path.parent.mkdir(parents=True)
            path.write_bytes(_png(shade))
    return folder


def _png(shade: int) -> bytes:
    """A grey square of 8 by 8: https://www.w3.org/TR/png/."""
    parts = {
        b"IHDR": struct.pack(">IIBBBBB", 8, 8, 8, 0, 0, 0, 0),
        b"IDAT": zlib.compress(bytes([0] + [shade] * 8) * 8),
        b"IEND": b"",
    }
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        for kind, data in parts.items()
    )


def _push(stack: Ec2Stack, folder: Path, port: int) -> str:
    """Have the small trainer in ECR, as the one that was pushed last; its id here."""
    stack.ecr.create_repository(repositoryName="stagemaker/trainer")
    token = stack.ecr.get_authorization_token()["authorizationData"][0]["authorizationToken"]
    password, config = base64.b64decode(token).decode().partition(":")[2], folder / "docker"
    login = run("login", "--username", "AWS", "--password-stdin", f"localhost:{port}", config=config, text=password)
    assert login.returncode == 0, login.stderr
    name = f"localhost:{port}/stagemaker/trainer:latest"
    image = docker("import", "--change", "ENV PATH=/bin", _archive(folder / "trainer.tar"), name)
    docker("push", "--quiet", name, config=config)
    return image


def _archive(path: Path) -> str:
    """The files of the image: the program, and those of this machine that it needs."""
    programs = {name: subprocess.check_output(["which", name], text=True).strip() for name in PROGRAMS}
    needed = subprocess.check_output(["ldd", *programs.values()], text=True).split()
    with tarfile.open(path, "w") as tar:
        for name, program in programs.items():
            _add(tar, f"bin/{name}", Path(program).read_bytes())
        for library in sorted({word for word in needed if word.startswith("/") and not word.endswith(":")}):
            _add(tar, library.lstrip("/"), Path(library).read_bytes())
        _add(tar, "bin/train", TRAIN.encode())
    return str(path)


def _add(tar: tarfile.TarFile, name: str, content: bytes) -> None:
    member = tarfile.TarInfo(name)
    member.size, member.mode = len(content), 0o755
    tar.addfile(member, io.BytesIO(content))


@contextmanager
def _forwarder(address: str, port: int) -> Iterator[None]:
    """The front of ECR is on this machine's loopback address alone where LocalStack is; hosts look for it where they
    find LocalStack."""

    class Handler(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            with socket.create_connection(("127.0.0.1", port)) as there:
                back = threading.Thread(target=_copy, args=(there, self.request), daemon=True)
                back.start()
                _copy(self.request, there)
                back.join()

    class Server(socketserver.ThreadingTCPServer):
        allow_reuse_address = daemon_threads = True

    with Server((address, port), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield
        finally:
            server.shutdown()
            thread.join()


def _copy(one: socket.socket, other: socket.socket) -> None:
    with suppress(OSError):
        while data := one.recv(1 << 16):
            other.sendall(data)
        other.shutdown(socket.SHUT_WR)

"""The notebook instance of a deployment on a real LocalStack that enforces IAM: its scripts run in a container, and
reach S3 under its role. Its image is a small one, with boto3 and without JupyterLab."""

import hashlib
import importlib
import json
import shutil
import subprocess
import urllib.request
import uuid
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
from docker.api import APIClient
from rich.console import Console

from infra import engine, roles
from infra.blueprint import Blueprint
from infra.clients import Clients, connect
from infra.notebook.lifecycle import lifecycle_request
from infra.notebook.names import LOGS
from infra.notebook.requests import instance_request
from infra.notebook.settings import NotebookSettings
from infra.paths import CHECKOUT
from infra.resources import titles
from infra.resources.bucket import Bucket
from infra.resources.logs import tail
from infra.resources.notebook import NotebookInstance, NotebookLifecycle, why_not_offered
from infra.resources.objects import File, StoredFiles
from infra.resources.resource import Resource
from infra.resources.role import IamRole
from infra.settings import DeploymentSettings
from infra.terminal import Terminal
from tests.contract.docker_environment import client
from tests.contract.docker_image import docker_url
from tests.contract.docker_notebooks import SERVER
from tests.contract.docker_stage import docker_stage
from tests.contract.function_containers import running
from tests.contract.gateway import until

DOCKERFILE = """
FROM python:3.13-slim
RUN useradd --uid 1000 --create-home ec2-user && install -d -o ec2-user /home/ec2-user/SageMaker
COPY packages /usr/local/lib/python3.13/site-packages
COPY bin /usr/local/bin
USER ec2-user
"""
SUDO = '#!/bin/bash\nexec setpriv --reuid ec2-user --regid ec2-user --init-groups env HOME=/home/ec2-user "${@:4}"\n'
PACKAGES = ("boto3", "botocore", "s3transfer", "jmespath", "dateutil", "urllib3", "six")
IMPORTED = ("ipykernel", "matplotlib", "PIL", "sagemaker")  # by the notebook, and not by the scripts
SERVICES = ("s3", "sagemaker", "sts", "sso", "sso-oidc")
KERNEL = "/home/ec2-user/.local/share/jupyter/kernels/stagemaker/kernel.json"
NOTEBOOK = "/home/ec2-user/SageMaker/stagemaker/train_and_deploy.ipynb"


def write_context(folder: Path) -> None:
    """What the image is built from: of botocore the services that the scripts call."""

    def others(path: str, names: list[str]) -> list[str]:
        if path.endswith("botocore/data"):
            return [name for name in names if "." not in name and name not in SERVICES]
        return ["__pycache__"]

    for name in PACKAGES:
        found = Path(importlib.import_module(name).__file__ or "")
        if found.name == "__init__.py":
            shutil.copytree(found.parent, folder / "packages" / name, ignore=others)
        else:
            shutil.copy(found, folder / "packages")
    for name in IMPORTED:
        (folder / "packages" / name).mkdir()
        for module in ("__init__.py", "train.py"):
            (folder / "packages" / name / module).touch()
    (folder / "bin").mkdir()
    for name, text in (
        ("start-notebook", SERVER.replace("signal.signal", "print('serves', flush=True)\nsignal.signal")),
        ("sudo", SUDO),
    ):
        (folder / "bin" / name).write_text(text)
        (folder / "bin" / name).chmod(0o755)
    (folder / "Dockerfile").write_text(DOCKERFILE)


@pytest.fixture(scope="module")
def image(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    docker_url()
    folder, name = tmp_path_factory.mktemp("image"), f"stagemaker-test-{uuid.uuid4().hex[:8]}"
    write_context(folder)
    with closing(client()) as built:
        _build(built, folder, name)
        yield name
        built.remove_image(name, force=True)


def _build(engine_client: APIClient, folder: Path, name: str) -> None:
    answers = engine_client.build(path=str(folder), tag=name, rm=True, decode=True, labels={"com.stagemaker": "1"})
    assert [answer["error"] for answer in answers if "error" in answer] == []


@dataclass(frozen=True)
class Story:
    """The part of a deployment that is its notebook instance, with what that needs."""

    clients: Clients
    network: str
    blueprint: Blueprint
    terminal: Terminal

    def resources(self) -> list[Resource]:
        """As `infra.deployment` has them."""
        clients, blueprint, settings = self.clients, self.blueprint, self.blueprint.settings.notebook
        assert settings is not None
        files = {
            "train_and_deploy.ipynb": CHECKOUT / "notebooks" / "train_and_deploy.ipynb",
            "requirements.txt": CHECKOUT / "requirements" / "notebook.txt",
        }
        sent = {name: File(path, hashlib.sha256(path.read_bytes()).hexdigest()) for name, path in files.items()}
        return [
            Bucket(clients.s3, blueprint.bucket, blueprint.settings.region, blueprint.tags),
            StoredFiles(
                clients.s3, blueprint.bucket, "notebook", sent, titles.NOTEBOOK_FILES, "files", self.terminal.bar
            ),
            IamRole(clients.iam, roles.notebook(blueprint), titles.NOTEBOOK_ROLE, blueprint.tags),
            NotebookLifecycle(clients.sagemaker, lifecycle_request(blueprint, settings)),
            self.instance(),
        ]

    def instance(self) -> NotebookInstance:
        """The last of them."""
        assert self.blueprint.settings.notebook is not None
        return NotebookInstance(self.clients, instance_request(self.blueprint, self.blueprint.settings.notebook))

    def apply(self) -> list[engine.Action]:
        """Make it."""
        return engine.apply(self.resources(), self.terminal)

    def described(self) -> dict[str, Any]:
        """DescribeNotebookInstance's answer."""
        found = self.clients.sagemaker.describe_notebook_instance(NotebookInstanceName="nb-dogs-notebook")
        return dict(found)

    def read(self, path: str) -> str:
        """A file of the instance, once it is there."""
        (container,) = running(self.network)
        command = ["docker", "exec", container, "cat", path]

        def look() -> str:
            return subprocess.run(command, capture_output=True, text=True, check=False).stdout

        return str(until(look, bool))


@pytest.fixture(scope="module")
def story(image: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Story]:
    with docker_stage(tmp_path_factory.mktemp("stack"), STAGEMAKER_NOTEBOOK_IMAGE=image) as (localstack, name, _):
        clients = connect("local", "us-east-1", {"AWS_ENDPOINT_URL": localstack.endpoint})
        wanted = DeploymentSettings(project="nb-dogs", notebook=NotebookSettings(idle_minutes=0))
        yield Story(clients, name, Blueprint(wanted, clients.account, ""), Terminal(Console(quiet=True)))


def test_from_the_first_deploy_to_the_end(story: Story) -> None:
    assert why_not_offered(story.clients) == ""
    assert set(story.apply()) == {"create"}
    assert set(story.apply()) == {"unchanged"}
    assert json.loads(story.read(NOTEBOOK))["metadata"]["kernelspec"]["name"] == "stagemaker"
    kernel = json.loads(story.read(KERNEL))
    assert kernel["argv"][0] == "/usr/local/bin/python3"
    assert kernel["env"]["ROLE_ARN"] == story.described()["RoleArn"]
    until(lambda: tail(story.clients.logs, LOGS, "nb-dogs-notebook/"), lambda lines: lines == ("serves",))
    with urllib.request.urlopen(story.instance().address(), timeout=30) as answer:
        assert "stagemaker" in json.load(answer)["files"]

    story.clients.sagemaker.stop_notebook_instance(NotebookInstanceName="nb-dogs-notebook")
    until(lambda: story.described()["NotebookInstanceStatus"], lambda status: status == "Stopped")
    assert set(story.apply()) == {"unchanged"}, "it stops itself, so one that is stopped is as wanted"
    story.instance().start()
    assert "PROJECT" in story.read(KERNEL), "the home folder is new, and OnStart has run again"

    larger = replace(story.blueprint.settings, notebook=NotebookSettings("ml.t3.large", idle_minutes=0))
    changed = replace(story, blueprint=replace(story.blueprint, settings=larger))
    assert changed.apply().count("update") == 1
    assert {key: story.described()[key] for key in ("InstanceType", "NotebookInstanceStatus")} == {
        "InstanceType": "ml.t3.large",
        "NotebookInstanceStatus": "InService",
    }

    engine.destroy(story.resources(), lambda _: None)
    sagemaker, iam = story.clients.sagemaker, story.clients.iam
    assert sagemaker.list_notebook_instances()["NotebookInstances"] == []
    assert sagemaker.list_notebook_instance_lifecycle_configs()["NotebookInstanceLifecycleConfigs"] == []
    assert [role["RoleName"] for role in iam.list_roles()["Roles"] if "notebook" in role["RoleName"]] == []
    assert tail(story.clients.logs, LOGS) == ()
    assert running(story.network) == []

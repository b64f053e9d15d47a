"""Notebook instances of real containers, of a small image that does what JupyterLab's does: it answers /api."""

import json
import urllib.request
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from docker.api import APIClient

from tests.contract.docker_environment import client
from tests.contract.docker_image import docker_url
from tests.contract.docker_notebooks import DockerNotebooks, built_notebook, docker_notebooks

GROUP = "/aws/sagemaker/NotebookInstances"
ON_CREATE = """#!/bin/bash
set -e
id --user
echo "$PATH"
cat /opt/ml/metadata/resource-metadata.json
echo
echo created > /home/ec2-user/SageMaker/created
nohup sh -c 'sleep 1; echo later > /home/ec2-user/SageMaker/later' > /dev/null 2>&1 &
echo to-stderr >&2
printf 'no line end'
"""


@pytest.fixture(scope="module")
def engine() -> Iterator[APIClient]:
    docker_url()
    with closing(client()) as made:
        yield made


@pytest.fixture(scope="module")
def image(engine: APIClient, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with built_notebook(engine, tmp_path_factory.mktemp("image")) as name:
        yield name


@pytest.fixture
def lab(image: str, tmp_path: Path) -> Iterator[DockerNotebooks]:
    with docker_notebooks(image, tmp_path) as made:
        yield made


def ask(address: str, path: str) -> Any:
    with urllib.request.urlopen(f"http://{address}{path}", timeout=30) as answer:
        return json.load(answer)


def test_scripts_run_as_root_and_the_server_as_ec2_user_on_loopback(lab: DockerNotebooks) -> None:
    lab.configure(OnCreate=ON_CREATE, OnStart="#!/bin/sh\necho started\n")
    lab.create(LifecycleConfigName="setup")
    address = lab.become("InService")["Url"]
    told = ask(address, "/tell")
    assert told["user"] == "ec2-user"
    assert told["capabilities"] == "0000000000000000"
    assert told["folder"] == "/home/ec2-user/SageMaker"
    assert told["environment"]["AWS_ACCESS_KEY_ID"] == "LSIAROLE"
    assert told["owner"] == "ec2-user"
    url = lab.call("create_presigned_notebook_instance_url")["AuthorizedUrl"]
    assert url.startswith(f"http://{address}/lab?authToken=")
    assert lab.logs.lines[GROUP, "lab/LifecycleConfigOnCreate"] == [
        "0",
        "/sbin:/bin:/usr/sbin:/usr/bin:/usr/local/bin",
        json.dumps({"ResourceArn": lab.described()["NotebookInstanceArn"], "ResourceName": "lab"}),
        "to-stderr",
        "no line end",
    ]
    assert lab.logs.lines[GROUP, "lab/LifecycleConfigOnStart"] == ["started"]
    lab.until(lambda: "later" in ask(address, "/tell")["files"], "what was left in the background goes on")
    assert [port["IP"] for port in lab.ports()] == ["127.0.0.1"]


def test_the_volume_stays_over_a_stop_and_nothing_else_does(lab: DockerNotebooks) -> None:
    lab.configure(OnCreate="#!/bin/sh\necho kept > /home/ec2-user/SageMaker/mine; echo lost > /home/ec2-user/other\n")
    lab.create(LifecycleConfigName="setup")
    assert ask(lab.become("InService")["Url"], "/tell")["files"] == ["mine"]
    lab.call("stop_notebook_instance")
    lab.become("Stopped")
    lab.call("start_notebook_instance")
    told = ask(lab.become("InService")["Url"], "/tell")
    assert told["files"] == ["mine"]
    assert "other" not in told["home"]
    lab.call("stop_notebook_instance")
    lab.become("Stopped")
    lab.call("update_notebook_instance", {"NotebookInstanceName": "lab", "InstanceType": "ml.t3.large"})
    lab.until(lambda: lab.described()["InstanceType"] == "ml.t3.large", "the instance is updated")
    lab.until(lambda: lab.described()["NotebookInstanceStatus"] == "Stopped", "it is stopped again")
    lab.call("delete_notebook_instance")
    assert len(lab.logs.lines[GROUP, "lab/LifecycleConfigOnCreate"]) == 0


def test_a_script_that_fails_fails_the_instance(lab: DockerNotebooks) -> None:
    lab.configure(OnStart="#!/bin/sh\necho before\nexit 7\n")
    lab.create(LifecycleConfigName="setup")
    assert lab.become("Failed")["FailureReason"].endswith("(OnStart) failed with exit code 7.")
    assert lab.logs.lines[GROUP, "lab/LifecycleConfigOnStart"] == ["before"]


def test_a_script_that_never_ends_fails_the_instance(image: str, tmp_path: Path) -> None:
    with docker_notebooks(image, tmp_path, limit_s=1.0) as lab:
        lab.configure(OnStart="#!/bin/sh\nsleep 600\n")
        lab.create(LifecycleConfigName="setup")
        assert lab.become("Failed")["FailureReason"].endswith("(OnStart) took longer than 5 minutes.")

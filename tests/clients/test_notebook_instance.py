"""The image's own JupyterLab as a notebook instance, opened by a browser: `make test-notebook` builds it."""

import json
import subprocess
import time
import urllib.request
from collections.abc import Iterator
from contextlib import closing
from http.cookiejar import CookieJar
from typing import Any
from urllib.error import HTTPError

import pytest
from docker.errors import ImageNotFound

from infra.notebook.lifecycle import FOLDER as NOTEBOOK_SCRIPTS
from tests.contract.browser import browser_title
from tests.contract.docker_environment import client
from tests.contract.docker_image import docker_url
from tests.contract.docker_notebooks import DockerNotebooks, docker_notebooks
from tests.contract.function_containers import running

IMAGE = "stagemaker/notebook:latest"
ON_CREATE = """#!/bin/bash
sudo -u ec2-user -i <<'EOF'
echo '{"cells": [], "metadata": {}, "nbformat": 4, "nbformat_minor": 5}' > SageMaker/mine.ipynb
EOF
"""


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DockerNotebooks]:
    docker_url()
    with closing(client()) as engine:
        try:
            engine.inspect_image(IMAGE)  # type: ignore[no-untyped-call]
        except ImageNotFound:
            pytest.skip(f"needs the image {IMAGE}: scripts/build notebook")
    with docker_notebooks(IMAGE, tmp_path_factory.mktemp("instance")) as made:
        made.clock.now = time.time()  # JupyterLab reads the machine's
        made.configure(OnCreate=ON_CREATE)
        made.create(LifecycleConfigName="setup")
        made.become("InService")
        yield made


def ask(url: str, opener: Any = None) -> tuple[int, bytes]:
    try:
        with (opener or urllib.request.build_opener()).open(url, timeout=60) as answer:
            return answer.status, answer.read()
    except HTTPError as error:
        with error:
            return error.code, error.read()


def test_a_browser_sees_the_notebook_by_the_presigned_address(lab: DockerNotebooks) -> None:
    url = lab.call("create_presigned_notebook_instance_url")["AuthorizedUrl"]
    assert "JupyterLab" in browser_title(url.replace("/lab?", "/lab/tree/mine.ipynb?"))


def test_the_address_gives_a_session_and_nobody_else_has_one(lab: DockerNotebooks) -> None:
    files = f"http://{lab.described()['Url']}/api/contents"
    url = lab.call("create_presigned_notebook_instance_url")["AuthorizedUrl"]
    session = urllib.request.build_opener(urllib.request.HTTPCookieProcessor(CookieJar()))
    assert ask(files)[0] == 403
    assert ask(url, session)[0] == 200
    status, body = ask(files, session)
    assert (status, [each["name"] for each in json.loads(body)["content"]]) == (200, ["mine.ipynb"])
    assert ask(url[:-1] + ("0" if url[-1] != "0" else "1"))[0] == 403


def test_an_address_that_has_ended_opens_nothing(lab: DockerNotebooks) -> None:
    lab.clock.now = time.time() - 301
    url = lab.call("create_presigned_notebook_instance_url")["AuthorizedUrl"]
    lab.clock.now = time.time()
    status, page = ask(url)
    assert status == 403
    assert b"This address has ended" in page


def test_the_machine_itself_knows_without_an_address_whether_it_is_used(lab: DockerNotebooks) -> None:
    (container,) = running(lab.engine.network)
    program = (
        f"__name__ = 'idle'\n{(NOTEBOOK_SCRIPTS / 'idle.py').read_text()}\nprint(ask('kernels'), ask('terminals'))"
    )
    command = ["docker", "exec", container, "python3", "-c", program]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.stdout, done.returncode) == ("[] []\n", 0), done.stderr
    assert ask(f"http://{lab.described()['Url']}/api/kernels")[0] == 403

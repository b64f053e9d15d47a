"""Images out of a registry: pulled by digest, with its login, and only when the engine lacks them."""

import io
import tarfile
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest
import requests
from docker.api import APIClient
from urllib3.util import Retry

from stagemaker.core.errors import ApiError
from stagemaker.runtime.contract import ImageRefused, Pull
from tests.contract.docker_environment import LONG_S, DockerEnvironment, client, run_container

LOGIN = "AWS:$2b$04$1EeenQrFQVgGvVwpQLXKreApiL3CQ.V0/ey0p.M4x46tzo1NJvV/G\n"  # bcrypt of "secret"


class OneImage:
    """A registry that knows one image."""

    def __init__(self, name: str, pull: Pull) -> None:
        self.name, self.pull = name, pull

    def find(self, image: str) -> Pull | None:
        if not image.startswith("123456789012.dkr.ecr."):
            return None
        if image != self.name:
            raise ImageRefused("The repository does not exist.")
        return self.pull


@pytest.fixture
def registry(docker_image: str, tmp_path: Path) -> Iterator[tuple[APIClient, str, str]]:
    """A client, the id of a registry's container, and its host and port."""
    (tmp_path / "logins").write_text(LOGIN)
    with closing(client()) as engine:
        container = run_container(
            engine,
            "registry:2",
            ["serve", "/etc/docker/registry/config.yml"],
            Env=["REGISTRY_AUTH=htpasswd", "REGISTRY_AUTH_HTPASSWD_REALM=x", "REGISTRY_AUTH_HTPASSWD_PATH=/logins"],
            ExposedPorts={"5000/tcp": {}},
            HostConfig={
                "PortBindings": {"5000/tcp": [{"HostIp": "127.0.0.1", "HostPort": ""}]},
                "Binds": [f"{tmp_path}/logins:/logins:ro"],
            },
        )
        try:
            port = engine.port(container, 5000)[0]["HostPort"]
            with requests.Session() as session:
                session.mount("http://", requests.adapters.HTTPAdapter(max_retries=Retry(8, backoff_factor=0.1)))
                assert session.get(f"http://127.0.0.1:{port}/v2/", timeout=LONG_S).status_code == 401
            yield engine, container, f"localhost:{port}"
        finally:
            engine.remove_container(container, v=True, force=True)


@pytest.fixture
def environment(docker_image: str, tmp_path: Path) -> Iterator[DockerEnvironment]:
    made = DockerEnvironment(docker_image, tmp_path)
    yield made
    made.close()


def push(engine: APIClient, repository: str) -> str:
    """An image of one file and no program, by its digest; the engine forgets it."""
    engine.import_image_from_data(archive(), repository, "1")
    login = {"username": "AWS", "password": "secret"}
    messages = list(engine.push(repository, tag="1", auth_config=login, stream=True, decode=True))
    engine.remove_image(f"{repository}:1")
    return next(f"{repository}@{message['aux']['Digest']}" for message in messages if "aux" in message)


def archive() -> bytes:
    data = io.BytesIO()
    with tarfile.open(fileobj=data, mode="w") as tar:
        tar.addfile(tarfile.TarInfo("file"))
    return data.getvalue()


def test_an_image_is_pulled_once_by_its_digest(
    registry: tuple[APIClient, str, str], environment: DockerEnvironment
) -> None:
    engine, container, host = registry
    reference = push(engine, f"{host}/mine")
    name = "123456789012.dkr.ecr.eu-west-1.amazonaws.com/mine:1"
    known = OneImage(name, Pull(reference, "AWS", "secret"))
    environment.runtime = environment.new_runtime(registry=known)
    with pytest.raises(ImageRefused, match="does not exist"):
        environment.runtime.check_image(name.replace("mine", "other"))
    environment.runtime.check_image(name)
    spec = replace(environment.spec(""), image=name)

    known.pull = replace(known.pull, password="wrong")
    with pytest.raises(ApiError, match=r"cannot pull .* see that the registry runs, or push again") as failure:
        environment.runtime.start(spec, environment.hear)
    assert failure.value.status == 500

    known.pull = Pull(reference, "AWS", "secret")
    try:
        for _ in range(2):
            with pytest.raises(ImageRefused, match="cannot run 'train'"):  # so it is there
                environment.runtime.start(spec, environment.hear)
            engine.stop(container, timeout=0)
    finally:
        engine.remove_image(reference)
    assert environment.left() == []

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
from docker.errors import APIError
from urllib3.util import Retry

from stagemaker.core.errors import ApiError
from stagemaker.runtime.contract import Exit, ImageRefused, Pull
from stagemaker.runtime.images import by_digest
from tests.contract.docker_environment import LONG_S, DockerEnvironment, client, run_container

LOGIN = "AWS:$2b$04$1EeenQrFQVgGvVwpQLXKreApiL3CQ.V0/ey0p.M4x46tzo1NJvV/G\n"  # bcrypt of "secret"


class OneImage:
    """A registry that knows one image."""

    def __init__(self, name: str, pull: Pull) -> None:
        self.name, self.pull = name, pull

    def find(self, image: str) -> Pull | None:
        if not image.startswith("123456789012.dkr.ecr."):
            return None
        if image not in (self.name, by_digest(self.name, self.pull.reference.rpartition("@")[2])):
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


def test_a_pinned_image_runs_when_its_tag_has_moved_and_when_it_has_left_the_registry(
    registry: tuple[APIClient, str, str], environment: DockerEnvironment
) -> None:
    engine, _, host = registry
    first, second = push(engine, f"{host}/mine"), push(engine, f"{host}/mine")
    assert first != second
    name = "123456789012.dkr.ecr.eu-west-1.amazonaws.com/mine:1"
    known = OneImage(name, Pull(first, "AWS", "secret"))
    environment.runtime = environment.new_runtime(registry=known)
    pinned = environment.runtime.pin(name)
    assert pinned == by_digest(name, first.rpartition("@")[2])
    spec = replace(environment.spec(""), image=name, pinned=pinned)
    try:
        for _ in range(2):
            with pytest.raises(ImageRefused, match="cannot run 'train'"):  # so it is there
                environment.runtime.start(spec, environment.hear)
            known.pull = replace(known.pull, reference=second)
            with pytest.raises(ImageRefused, match="does not exist"):
                known.find(pinned)
            with pytest.raises(APIError, match="No such image"):
                engine.inspect_image(second)  # type: ignore[no-untyped-call]
    finally:
        engine.remove_image(first)
    with pytest.raises(ImageRefused, match="does not exist"):
        environment.runtime.start(spec, environment.hear)


def test_a_pinned_image_of_the_engine_runs_when_its_tag_has_moved(
    registry: tuple[APIClient, str, str], environment: DockerEnvironment
) -> None:
    engine, _, host = registry
    engine.tag(environment.image, f"{host}/local", "1")
    try:
        pinned = environment.runtime.pin(f"{host}/local:1")
        engine.import_image_from_data(archive(), f"{host}/local", "1")
        container = environment.start("sys.exit(3)", image=f"{host}/local:1", pinned=pinned)
        assert container.wait(LONG_S) == Exit(3)
        with pytest.raises(ImageRefused, match="cannot run 'train'"):
            environment.start("", image=f"{host}/local:1")
    finally:
        engine.remove_image(f"{host}/local:1")

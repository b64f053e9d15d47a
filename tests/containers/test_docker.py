"""infra.docker with the real Docker engine."""

import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from infra import docker as engine
from tests.containers.container_stack import docker


@pytest.fixture
def name(tmp_path: Path) -> Iterator[str]:
    """The name of a new image. All images with its label are removed at the end."""
    label = uuid.uuid4().hex[:8]
    (tmp_path / "Dockerfile").write_text(f"FROM python:3.13-slim\nLABEL test={label}\n")
    docker("build", "--quiet", "--tag", f"test-docker-{label}", str(tmp_path))
    yield f"test-docker-{label}"
    for one in set(docker("image", "ls", "--quiet", "--filter", f"label=test={label}").split()):
        docker("image", "rm", "--force", one)


def tags(image: str) -> list[str]:
    found = engine.inspect("image", image)
    return sorted(found["RepoTags"]) if found else []


def test_the_names_of_one_registry_are_removed(name: str) -> None:
    there, elsewhere = f"localhost:1/a/{name}", f"localhost:12/a/{name}"
    for tag in (f"{there}:1", f"{there}:2", f"{elsewhere}:1"):
        docker("tag", name, tag)
    assert engine.forget("localhost:1") == 2
    assert tags(name) == [f"{elsewhere}:1", f"{name}:latest"]


def test_an_image_without_another_name_stays(name: str) -> None:
    there = f"localhost:1/{name}:mine"
    docker("tag", name, there)
    docker("image", "rm", name)
    assert engine.forget("localhost:1") == 0
    assert tags(there) == [there]

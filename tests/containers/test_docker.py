"""infra.docker against the real engine."""

import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from infra import docker as engine
from tests.containers.conftest import docker


@pytest.fixture
def name(tmp_path: Path) -> Iterator[str]:
    """An image's name; whatever has the fixture's label is removed."""
    label = uuid.uuid4().hex[:8]
    (tmp_path / "Dockerfile").write_text(f"FROM python:3.13-slim\nLABEL test={label}\n")
    docker("build", "--quiet", "--tag", f"test-docker-{label}", str(tmp_path))
    yield f"test-docker-{label}"
    for one in set(docker("image", "ls", "--quiet", "--filter", f"label=test={label}").split()):
        docker("image", "rm", "--force", one)


def tags(image: str) -> list[str]:
    found = engine.inspect("image", image)
    return sorted(found["RepoTags"]) if found else []


def test_names_at_a_registry_that_is_gone_are_forgotten(name: str) -> None:
    there, elsewhere = f"localhost:1/a/{name}", f"localhost:12/a/{name}"
    for tag in (f"{there}:1", f"{there}:2", f"{elsewhere}:1"):
        docker("tag", name, tag)
    assert engine.forget("localhost:1") == 2
    assert tags(name) == [f"{elsewhere}:1", f"{name}:latest"]


def test_what_has_no_other_name_stays(name: str) -> None:
    there = f"localhost:1/{name}:mine"
    docker("tag", name, there)
    docker("image", "rm", name)
    assert engine.forget("localhost:1") == 0
    assert tags(there) == [there]

"""The images that jobs, endpoints and functions run: built here, and pushed to ECR, the stack's or AWS's, by the same
calls.

Each is pushed under its git revision and under `latest`; layers that the registry has are not sent again.
"""

import base64
import os
import re
import subprocess
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from infra import docker, engine
from infra.clients import Clients, Target
from infra.errors import StepFailed
from infra.paths import CHECKOUT
from infra.resources.repository import Repository
from infra.terminal import Terminal
from infra.typed import with_settings

PREFIX = "stagemaker/"
ALWAYS = ("trainer", "serve", "lambda")
OPTIONAL = ("serve-gpu",)  # pushed when it was built
NAMES = (*ALWAYS, *OPTIONAL)
TAGS = [{"Key": "stagemaker:image", "Value": "true"}]
_REVISION = "org.opencontainers.image.revision"
_ASK_REGISTRY = with_settings("docker compose ps registry", "STAGEMAKER_PROJECT")
_TAG = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}")
_LOGIN_LIMIT_S = 60.0
AWS_ARCHITECTURE = "amd64"  # that of the instance types in `infra.settings`, and of a function that names none


@dataclass(frozen=True)
class Pushed:
    """An image as ECR describes it; `tags` are those it was pushed under."""

    name: str
    uri: str
    tags: tuple[str, ...]
    digest: str
    size_bytes: int


def build(*names: str, architecture: str = "") -> str:
    """Build these images; what was built. `architecture` is that of other machines, "" the engine's own. Raises
    StepFailed."""
    docker.require_engine()
    environment = {**os.environ, "ARCHITECTURE": architecture}
    command = [str(CHECKOUT / "scripts" / "build"), *names]
    if subprocess.run(command, cwd=CHECKOUT, env=environment, check=False).returncode:
        raise StepFailed("An image could not be built.", "Read the lines above.")
    return ", ".join(f"{PREFIX}{name}" for name in names)


def remove_built() -> int:
    """Remove every image that was built from this repository; how many. One that a user built upon ours has our label
    too, but another name. None where no engine answers."""
    if not docker.engine_answers():
        return 0
    ids = docker.listed("image", f"label={docker.LABEL}=1")
    names = {one: (docker.inspect("image", one) or {}).get("RepoTags") or [] for one in ids}
    return docker.remove("image", [one for one in ids if all(PREFIX in name for name in names[one])])


def tags_of(image: Mapping[str, Any]) -> tuple[str, ...]:
    """The tags for an image as `docker inspect` tells it: the revision that its label names, and `latest`."""
    revision = (image["Config"].get("Labels") or {}).get(_REVISION, "unknown")
    return (revision, "latest") if _TAG.fullmatch(revision) and revision not in ("unknown", "latest") else ("latest",)


def architecture_for(target: Target) -> str:
    """For which architecture an image must be built that the target is to run; "" for the engine's own."""
    return AWS_ARCHITECTURE if target == "aws" and docker.architecture() != AWS_ARCHITECTURE else ""


def chosen(names: list[str], architecture: str = "") -> dict[str, tuple[str, ...]]:
    """The images to push with their tags in ECR: those that are named, else all. StepFailed for one that is not built.
    `architecture` is as for `build`."""
    found = {}
    for name in names or NAMES:
        image = docker.inspect("image", _local(name, architecture))
        if image is not None:
            found[name] = tags_of(image)
        elif names or name in ALWAYS:
            command = with_settings(f"scripts/build {name}", "ARCHITECTURE", environ={"ARCHITECTURE": architecture})
            raise StepFailed(f"There is no image {_local(name, architecture)}.", f"Build it: {command}")
    return found


def _local(name: str, architecture: str) -> str:
    """What scripts/build calls an image."""
    return f"{PREFIX}{name}:latest" + (f"-{architecture}" if architecture else "")


@contextmanager
def logged_in(ecr: Any) -> Iterator[dict[str, str]]:
    """The environment in which `docker` may push; the password lies in a folder that is gone at the end, and the
    user's own settings are not touched. StepFailed when the registry does not take it."""
    data = ecr.get_authorization_token()["authorizationData"][0]
    user, _, password = base64.b64decode(data["authorizationToken"]).decode().partition(":")
    docker_host = docker.address()  # another settings folder would hide which engine the user has chosen
    with tempfile.TemporaryDirectory(prefix="stagemaker-login-") as folder:
        environment = {name: value for name, value in os.environ.items() if name != "DOCKER_CONTEXT"}
        environment |= {"DOCKER_CONFIG": folder, "DOCKER_HOST": docker_host}
        command = ["docker", "login", "--username", user, "--password-stdin", data["proxyEndpoint"]]
        try:
            done = subprocess.run(
                command, input=password, env=environment, capture_output=True, text=True, timeout=_LOGIN_LIMIT_S,
                check=False,
            )  # fmt: skip
            said = tuple(done.stderr.strip().splitlines()[-3:])
        except subprocess.TimeoutExpired:
            done, said = None, ()
        if done is None or done.returncode:
            raise StepFailed(
                f"The registry at {data['proxyEndpoint']} does not let us in, or does not answer.",
                f"See whether it runs (`{_ASK_REGISTRY}`; on AWS: your network), and run this again.",
                said,
            )
        yield environment


def push(clients: Clients, names: list[str], terminal: Terminal) -> list[Pushed]:
    """Make the repositories, push the images, and read back what ECR has. Raises StepFailed."""
    architecture = architecture_for(clients.target)
    images = chosen(names, architecture)
    result = []
    with logged_in(clients.ecr) as environment:
        for name, tags in images.items():
            with terminal.step(f"{PREFIX}{name}") as done:
                repository = Repository(clients.ecr, PREFIX + name, TAGS)
                action, _ = engine.apply_one(repository)
                uri = repository.uri()
                for tag in tags:
                    _push(_local(name, architecture), f"{uri}:{tag}", environment)
                result.append(_describe(clients.ecr, name, uri, tags))
                done.result = f"{uri}:{tags[0]} (repository {engine.DONE[action]})"
    return result


def destroy(clients: Clients, names: list[str], terminal: Terminal) -> int:
    """Delete the repositories with their images; how many were there."""
    repositories = [Repository(clients.ecr, PREFIX + name, TAGS) for name in names or NAMES]
    return engine.destroy(repositories, terminal.say)


def _push(image: str, remote: str, environment: Mapping[str, str]) -> None:
    docker.ask("tag", image, remote)
    if subprocess.run(["docker", "push", remote], env=environment, check=False).returncode:
        raise StepFailed(
            f"{remote} was not pushed.",
            f"Read what docker says above. If the registry stopped (`{_ASK_REGISTRY}`), start it, and run this again: "
            "what was sent is not sent again.",
        )


def _describe(ecr: Any, name: str, uri: str, tags: tuple[str, ...]) -> Pushed:
    image = ecr.describe_images(repositoryName=PREFIX + name, imageIds=[{"imageTag": tags[0]}])["imageDetails"][0]
    return Pushed(name, uri, tags, image["imageDigest"], image["imageSizeInBytes"])


def show(pushed: list[Pushed], terminal: Terminal) -> None:
    """The table of what ECR has."""
    rows: list[tuple[str, ...]] = [
        (f"{image.uri}:{image.tags[0]}", image.digest, f"{image.size_bytes / 1e6:,.1f} MB compressed")
        for image in pushed
    ]
    terminal.table("Pushed", ("Image", "Digest", "Size"), rows)

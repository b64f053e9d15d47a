"""The images that jobs, endpoints and functions run: built here, and pushed to ECR, the stack's or AWS's, by the same
calls.

Each is pushed under the tag of its commit, which never moves, and `latest` follows. An image comes in under a tag of
its own, and gets the others when its manifest is one that SageMaker takes: so neither of them ever names another.
"""

import os
import re
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from uuid import uuid4

from botocore.exceptions import ClientError

from infra import commit, docker, engine, manifests, registry
from infra.clients import Clients, Target
from infra.errors import StepFailed
from infra.paths import CHECKOUT
from infra.pushed import PREFIX, find_image
from infra.resources.repository import LATEST, Repository
from infra.resources.resource import error_code
from infra.settings import DeploymentSettings
from infra.terminal import Terminal
from infra.typed import with_settings

ALWAYS = ("trainer", "serve", "lambda")
OPTIONAL = ("serve-gpu",)  # pushed when it was built
NAMES = (*ALWAYS, *OPTIONAL)
FOR_FUNCTIONS = ("lambda",)  # Lambda must be allowed to pull these
TAGS = {"stagemaker:image": "true"}  # of every repository: they are shared by the projects of an account and region
_REVISION = "org.opencontainers.image.revision"
_NO_REVISION = ("", "unknown", LATEST)
_TAG = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,99}")
_DIRTY = "-dirty"  # ends the revision of what was built from changed files
AWS_ARCHITECTURE = "amd64"  # that of the instance types in `infra.settings`, and of a function that names none


@dataclass(frozen=True)
class Pushed:
    """An image as ECR describes it, by the tag of its commit."""

    name: str
    uri: str
    tag: str
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


def tag_of(image: Mapping[str, Any], *, dirty: bool) -> str:
    """The tag for an image as `docker inspect` tells it: the revision that its label names. What was built from changed
    files, or without git, has a tag only if `dirty` says so, which ends with a part of its id, since a tag never moves.
    Raises StepFailed."""
    revision = str((image["Config"].get("Labels") or {}).get(_REVISION, ""))
    if revision in _NO_REVISION or not _TAG.fullmatch(revision):
        revision = "unknown"
    elif not revision.endswith(_DIRTY):
        return revision
    if not dirty:
        raise StepFailed(
            f"The image was built from files that are in no commit ({revision}), so no tag says what it is.",
            "Commit and build again, or push it as it is: --dirty, or DIRTY=1 make push.",
        )
    return f"{revision}-{image['Id'].removeprefix('sha256:')[:8]}"


def refuse_dirty(*, dirty: bool) -> None:
    """Raise StepFailed when the checkout has changes and `dirty` does not allow them: before a build of minutes."""
    if (changed := commit.changed_files()) and not dirty:
        raise StepFailed(
            f"The checkout has {len(changed)} changed files, so no commit says what its images are.",
            "Commit, or push them as they are: --dirty, or DIRTY=1 make push.",
            tuple(changed[:3]),
        )


def architecture_for(target: Target) -> str:
    """For which architecture an image must be built that the target is to run; "" for the engine's own."""
    return AWS_ARCHITECTURE if target == "aws" and docker.architecture() != AWS_ARCHITECTURE else ""


@dataclass(frozen=True)
class LocalImage:
    """An image to push: how docker names it here, the tag of its commit, and what is worth saying before it is sent."""

    local: str
    tag: str
    architecture: str
    remark: str = ""


def chosen(names: list[str], target: Target, *, dirty: bool) -> dict[str, LocalImage]:
    """The images to push: those that are named, else all. StepFailed for one that is not built, is of the wrong
    architecture, or may not be pushed."""
    suffix, found = architecture_for(target), dict[str, LocalImage]()
    wanted = AWS_ARCHITECTURE if target == "aws" else docker.architecture()
    for name in names or NAMES:
        local = f"{PREFIX}{name}:latest" + (f"-{suffix}" if suffix else "")  # as scripts/build calls it
        image = docker.inspect("image", local)
        if image is not None:
            found[name] = checked(name, local, image, wanted, dirty=dirty)
        elif names or name in ALWAYS:
            raise StepFailed(f"There is no image {local}.", f"Build it: {_build_command(name, suffix)}")
    return found


def checked(name: str, local: str, image: Mapping[str, Any], wanted: str, *, dirty: bool) -> LocalImage:
    """What may be pushed of an image as `docker inspect` tells it. Raises StepFailed."""
    platform = f"{image['Os']}/{image['Architecture']}"
    if platform != f"linux/{wanted}":
        command = _build_command(name, wanted)
        raise StepFailed(f"{local} is an image for {platform}, and linux/{wanted} is needed.", f"Build it: {command}")
    media_type = (image.get("Descriptor") or {}).get("mediaType", manifests.SCHEMA_2)  # only newer engines tell
    remark = ""
    if media_type != manifests.SCHEMA_2:
        remark = f"{local} is {media_type} here. ECR gets its image for {platform} with Docker's manifest"
        remark += f"; `{_build_command(name, '')}` makes it so here." if media_type in manifests.INDEXES else "."
    return LocalImage(local, tag_of(image, dirty=dirty), wanted, remark)


def _build_command(name: str, architecture: str) -> str:
    return with_settings(f"scripts/build {name}", "ARCHITECTURE", environ={"ARCHITECTURE": architecture})


def push(
    clients: Clients, settings: DeploymentSettings, names: list[str], terminal: Terminal, *, dirty: bool = False
) -> list[Pushed]:
    """Make the repositories, push the images that they lack, and read back what ECR has. Raises StepFailed."""
    images = chosen(names, clients.target, dirty=dirty)
    for image in images.values():
        if image.remark:
            terminal.say(image.remark)
    result = []
    for name, image in images.items():
        with terminal.step(f"{PREFIX}{name}") as done:
            repository = _repository(clients.ecr, name, settings)
            action, _ = engine.apply_one(repository)
            uri = repository.uri()
            there = find_image(clients.ecr, repository.name, imageTag=image.tag) is not None
            if not there:
                _send(clients.ecr, repository.name, uri, image, terminal)
            found = _follow(clients.ecr, repository.name, image.tag)
            size_bytes = manifests.size_bytes(found["imageManifest"])
            result.append(Pushed(name, uri, image.tag, found["imageId"]["imageDigest"], size_bytes))
            kept = ", image of this tag there already" if there else ""
            done.result = f"{uri}:{image.tag} (repository {engine.DONE[action]}{kept})"
    return result


def _repository(ecr: Any, name: str, settings: DeploymentSettings) -> Repository:
    tags = {**settings.tags, **TAGS}
    return Repository(ecr, PREFIX + name, settings.images, tags, for_functions=name in FOR_FUNCTIONS)


def _send(ecr: Any, repository: str, uri: str, image: LocalImage, terminal: Terminal) -> None:
    """Push it under a tag of its own, and give what came of it the tag of its commit. Raises StepFailed."""
    incoming = f"incoming-{uuid4().hex}"
    docker.ask("tag", image.local, f"{uri}:{incoming}")
    try:
        registry.send(ecr, f"{uri}:{incoming}", terminal.say)
        _publish(ecr, repository, incoming, image)
        docker.ask("tag", image.local, f"{uri}:{image.tag}")  # so that the engine still knows that it has this image
    finally:
        docker.remove("image", [f"{uri}:{incoming}"])


def _publish(ecr: Any, repository: str, incoming: str, image: LocalImage) -> None:
    found = find_image(ecr, repository, imageTag=incoming)
    try:
        if found and found["imageManifestMediaType"] in manifests.INDEXES:
            digest = manifests.image_in(found["imageManifest"], image.architecture)
            found = find_image(ecr, repository, imageDigest=digest)
        if found is None:
            raise StepFailed(f"The image that was pushed to {repository} is not there.", "Run this again.")
        _put(ecr, repository, manifests.as_schema_2(found["imageManifest"]), manifests.SCHEMA_2, image.tag)
    finally:
        ecr.batch_delete_image(repositoryName=repository, imageIds=[{"imageTag": incoming}])


def _follow(ecr: Any, repository: str, tag: str) -> dict[str, Any]:
    """Have `latest` name the image of the tag, as BatchGetImage answers it. Raises StepFailed where it is gone."""
    found, latest = (find_image(ecr, repository, imageTag=one) for one in (tag, LATEST))
    if found is None:
        raise StepFailed(f"The image {repository}:{tag} is not there any more.", "Run this again.")
    if latest is None or latest["imageId"]["imageDigest"] != found["imageId"]["imageDigest"]:
        _put(ecr, repository, found["imageManifest"], found["imageManifestMediaType"], LATEST)
    return found


def _put(ecr: Any, repository: str, manifest: str, media_type: str, tag: str) -> None:
    """Give the tag to the image of this manifest, whose layers are there. Where another push has given it meanwhile, to
    this image or another of the same commit, that stays."""
    try:
        ecr.put_image(
            repositoryName=repository,
            imageManifest=manifest,
            imageManifestMediaType=media_type,
            imageTag=tag,
        )
    except ClientError as error:
        if error_code(error) not in ("ImageAlreadyExistsException", "ImageTagAlreadyExistsException"):
            raise


def repositories(clients: Clients, names: list[str]) -> list[Repository]:
    """Those of the images, to delete: of those that are named, else of all."""
    return [Repository(clients.ecr, PREFIX + name) for name in names or NAMES]


def show(pushed: list[Pushed], terminal: Terminal) -> None:
    """The table of what ECR has."""
    rows: list[tuple[str, ...]] = [
        (f"{image.uri}:{image.tag}", image.digest, f"{image.size_bytes / 1e6:,.1f} MB compressed") for image in pushed
    ]
    terminal.table("Pushed", ("Image", "Digest", "Size"), rows)

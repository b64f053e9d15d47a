"""Whether the registry has the images that a deployment runs: asked before anything is made."""

from typing import Any

from infra.blueprint import Blueprint
from infra.errors import StepFailed
from infra.resources.resource import find

RUN = ("trainer", "serve")  # by jobs and endpoints; the function is a zip


def missing(ecr: Any, blueprint: Blueprint) -> list[str]:
    """The addresses of the images that the account's registry lacks."""
    return [address for name in RUN if not _is_there(ecr, address := blueprint.image(name))]


def check(ecr: Any, blueprint: Blueprint) -> None:
    """Raise StepFailed, with each of them, where the registry lacks an image."""
    if lacking := missing(ecr, blueprint):
        raise StepFailed(
            f"The registry lacks {' and '.join(lacking)}.",
            f"Push the images, and run this again: make push TARGET=aws, or python -m infra push --target aws --region "
            f"{blueprint.settings.region} (on this machine: make push).",
        )


def _is_there(ecr: Any, address: str) -> bool:
    _, _, path = address.partition("/")
    repository, at, digest = path.partition("@")
    repository, _, tag = repository.partition(":")
    image = {"imageDigest": digest} if at else {"imageTag": tag}
    return find(ecr.describe_images, repositoryName=repository, imageIds=[image]) is not None

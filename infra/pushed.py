"""The images that the account's registry has: the one place that asks ECR for an image.

A push puts an image there by the tag of its commit, and a deployment runs it by its digest, which names one image for
ever: what the tag of another push names later, or a push in the middle of a deployment, changes nothing that runs.
"""

import hashlib
import json
from collections.abc import Mapping
from typing import Any

from infra import commit, manifests
from infra.blueprint import Image, registry_host
from infra.clients import Clients
from infra.errors import StepFailed
from infra.resources.repository import LATEST
from infra.resources.resource import find

PREFIX = "stagemaker/"
RUN = ("trainer", "serve")  # by jobs and endpoints; the function is a zip


def find_image(ecr: Any, repository: str, **image_id: str) -> dict[str, Any] | None:
    """The image of a tag or a digest as BatchGetImage answers it, with its manifest as it was pushed; None when it, or
    its repository, is not there."""
    types = list(manifests.MEDIA_TYPES)
    found = find(ecr.batch_get_image, repositoryName=repository, imageIds=[image_id], acceptedMediaTypes=types)
    images: list[dict[str, Any]] = (found or {}).get("images", [])
    return images[0] if images else None


def of_registry(clients: Clients, tag: str | None) -> dict[str, Image]:
    """The images that a deployment runs, by their names: those of the tag, else of the checkout's commit. One that is
    not there is named by its tag. Raises StepFailed for a checkout without a commit, when no tag is given."""
    tag = tag or commit.head()
    if tag is None:
        raise StepFailed(
            "This folder has no git commit, so nothing says which images to run.", "Name a tag: IMAGE_TAG="
        )
    host = registry_host(clients.account, clients.region)
    return {name: _image(clients.ecr, host, name, tag) for name in RUN}


def check(images: Mapping[str, Image], ecr: Any, region: str) -> None:
    """Raise StepFailed, with each of them, where the registry lacks an image; it says which tag there is instead."""
    if not (lacking := missing(images)):
        return
    push = f"make push TARGET=aws, or python -m infra push --target aws --region {region} (on this machine: make push)"
    other = _newest_tag(ecr, next(iter(images)))
    instead = f" Or deploy what was pushed last: IMAGE_TAG={other}." if other else ""
    raise StepFailed(
        f"The registry lacks {' and '.join(lacking)}.", f"Push the images, and run this again: {push}.{instead}"
    )


def missing(images: Mapping[str, Image]) -> list[str]:
    """The addresses of those that the registry lacks."""
    return [image.reference for image in images.values() if not image.is_there]


def _image(ecr: Any, host: str, name: str, tag: str) -> Image:
    address = f"{host}/{PREFIX}{name}"
    found = find_image(ecr, PREFIX + name, imageTag=tag)
    if found is None:
        return Image(f"{address}:{tag}", f"{address}:{tag}", is_there=False)
    return Image(f"{address}@{found['imageId']['imageDigest']}", _content(found))


def _content(image: Mapping[str, Any]) -> str:
    """What is the same for two images with the same files: their layers, without the labels, which name a commit. An
    index, or what else has no layers, is known by its digest."""
    layers = json.loads(image["imageManifest"]).get("layers")
    if layers is None:
        return str(image["imageId"]["imageDigest"])
    return hashlib.sha256(json.dumps([layer["digest"] for layer in layers]).encode()).hexdigest()


def _newest_tag(ecr: Any, name: str) -> str | None:
    """A tag of the image that was pushed last, besides `latest`."""
    latest = find_image(ecr, PREFIX + name, imageTag=LATEST)
    if latest is None:
        return None
    same = [{"imageDigest": latest["imageId"]["imageDigest"]}]
    found = find(ecr.describe_images, repositoryName=PREFIX + name, imageIds=same) or {"imageDetails": []}
    tags = [tag for detail in found["imageDetails"] for tag in detail.get("imageTags", ()) if tag != LATEST]
    return sorted(tags)[0] if tags else None

"""ECR over a small registry, with a clock that tests turn."""

import json
from collections.abc import Callable
from typing import Any

import pytest

from stagemaker.core.errors import ApiError
from stagemaker.core.store import MemoryStore
from stagemaker.core.supervisor import Supervisor
from stagemaker.registry.ecr import Ecr
from stagemaker.registry.rights import ALL_RIGHTS, Rights
from stagemaker.settings import DockerSettings
from tests.unit.plugin.fakes import SCOPE
from tests.unit.plugin.registry.small_registry import SmallRegistry

OCI = "application/vnd.oci.image.manifest.v1+json"
INDEX = "application/vnd.oci.image.index.v1+json"


def manifest(number: int, size: int = 100) -> str:
    """A manifest of its own for each number."""
    config = {"mediaType": "application/vnd.oci.image.config.v1+json", "digest": f"sha256:{number:064x}", "size": 10}
    layer = {
        "mediaType": "application/vnd.oci.image.layer.v1.tar+gzip",
        "digest": f"sha256:{number:064x}",
        "size": size,
    }
    return json.dumps({"schemaVersion": 2, "mediaType": OCI, "config": config, "layers": [layer]})


def index(*digests: str) -> str:
    """Of these images."""
    items = [{"mediaType": OCI, "digest": digest, "size": 100} for digest in digests]
    return json.dumps({"schemaVersion": 2, "mediaType": INDEX, "manifests": items})


class EcrEnvironment:
    """`call` an operation by its name; `now` is the time."""

    def __init__(self, service: SmallRegistry | None, rights: Rights = ALL_RIGHTS) -> None:
        self.now = 1_000_000.0
        self.service = service
        settings = DockerSettings("x", "off", "none", "x", service.url, 0) if service else None
        self.supervisor = Supervisor()
        self.ecr = Ecr(settings, MemoryStore(), self.supervisor, "127.0.0.1", lambda: self.now, b"secret", rights)

    def call(self, operation: str, **request: Any) -> Any:
        own: Callable[..., Any] = next(
            getattr(part, operation)
            for part in (self.ecr.repositories, self.ecr.images, self.ecr.lifecycle, self.ecr.authorization)
            if hasattr(part, operation)
        )
        return own(SCOPE, request)

    def refused(self, operation: str, **request: Any) -> str:
        """The code of the error that it answers."""
        with pytest.raises(ApiError) as caught:
            self.call(operation, **request)
        return caught.value.code

    def put(self, text: str, tag: str | None = None) -> str:
        """Into the repository `dogs`; the digest."""
        tagged = {"imageTag": tag} if tag else {}
        answer = self.call("put_image", repositoryName="dogs", imageManifest=text, **tagged)
        return str(answer["image"]["imageId"]["imageDigest"])

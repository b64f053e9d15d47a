"""Pure: what an image's manifest says about it. Formats: OCI image specification 1.1 and Docker's schema 2."""

import hashlib
import json
import re
from dataclasses import dataclass
from typing import Any

DIGEST = re.compile(r"sha256:[0-9a-f]{64}")
TAG = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}")
MAX_MANIFEST_BYTES = 4_194_304  # ECR's limit
IMAGE_TYPES = frozenset(
    {"application/vnd.docker.distribution.manifest.v2+json", "application/vnd.oci.image.manifest.v1+json"}
)
INDEX_TYPES = frozenset(
    {"application/vnd.docker.distribution.manifest.list.v2+json", "application/vnd.oci.image.index.v1+json"}
)


class MediaTypeMissing(Exception):
    """Neither the manifest nor its sender says what it is; the message is ECR's."""

    def __init__(self) -> None:
        super().__init__("image manifest mediatype not provided in manifest or parameter")


@dataclass(frozen=True)
class Manifest:
    """`size_bytes`: the layers as they are stored, and the configuration; 0 for an index, which has `children`."""

    digest: str
    media_type: str
    artifact_media_type: str
    size_bytes: int
    children: tuple[str, ...] = ()


def read_manifest(body: bytes, media_type: str | None) -> Manifest:
    """`media_type` as its sender says, else as the manifest itself does. Raises MediaTypeMissing, or ValueError
    with one sentence."""
    try:
        content = json.loads(body)
    except (ValueError, RecursionError):
        raise ValueError("Invalid JSON syntax") from None
    if not isinstance(content, dict):
        raise ValueError("The image manifest is not a JSON object.")
    if not isinstance(content.get("mediaType", ""), str):
        raise ValueError("The image manifest names no media type.")
    kind = media_type or content.get("mediaType")
    if not kind:
        raise MediaTypeMissing
    if content.get("mediaType", kind) != kind:
        raise ValueError(
            f"The image manifest says that it is {content['mediaType']}, and its sender that it is {kind}."
        )
    digest = "sha256:" + hashlib.sha256(body).hexdigest()
    if kind in INDEX_TYPES:
        children = tuple(_descriptor(item)[0] for item in _items(content, "manifests"))
        return Manifest(digest, kind, "", 0, children)
    if kind not in IMAGE_TYPES:
        raise ValueError(f"The image manifest's media type {kind} is not supported.")
    config = content.get("config")
    blobs = [_descriptor(item) for item in (config, *_items(content, "layers"))]
    artifact = content.get("artifactType") or (config or {}).get("mediaType") or ""
    return Manifest(digest, kind, str(artifact), sum(size for _, size in blobs))


def _items(content: dict[str, Any], name: str) -> list[Any]:
    items = content.get(name)
    if not isinstance(items, list):
        raise ValueError(f"The image manifest has no list '{name}'.")
    return items


def _descriptor(item: Any) -> tuple[str, int]:
    """Digest and size."""
    digest, size = (item.get("digest"), item.get("size")) if isinstance(item, dict) else (None, None)
    if not isinstance(digest, str) or not DIGEST.fullmatch(digest) or not isinstance(size, int) or size < 0:
        raise ValueError("The image manifest names a blob without a SHA-256 digest and a size.")
    return digest, size

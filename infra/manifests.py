"""Pure: the manifest of an image as SageMaker and Lambda take it: of one platform, with Docker's media types.

Engines and builders differ in what they push: Docker's own store Docker's manifest, containerd's store OCI's manifest,
or an index that names it beside an attestation. CreateModel takes the first only, Lambda no index. All of them name the
same blobs, so that a manifest can be written anew without anything being sent again.

Formats: the OCI image specification 1.1, and Docker's "Image Manifest Version 2, Schema 2".
"""

import json
from collections.abc import Mapping
from typing import Any

from infra.errors import StepFailed

SCHEMA_2 = "application/vnd.docker.distribution.manifest.v2+json"
OCI_MANIFEST = "application/vnd.oci.image.manifest.v1+json"
INDEXES = ("application/vnd.oci.image.index.v1+json", "application/vnd.docker.distribution.manifest.list.v2+json")
MEDIA_TYPES = (SCHEMA_2, OCI_MANIFEST, *INDEXES)
_CONFIG = "application/vnd.docker.container.image.v1+json"
_LAYER = "application/vnd.docker.image.rootfs.diff.tar.gzip"
_GZIP_LAYERS = (_LAYER, "application/vnd.oci.image.layer.v1.tar+gzip")
_ADVICE = "Build it anew with `scripts/build`, which makes an image of one platform with layers in gzip."


def image_in(index: str, architecture: str) -> str:
    """The digest of the only image for linux and this architecture, such as `amd64`, that an index names. Raises
    StepFailed where there is none, or several."""
    items: list[dict[str, Any]] = json.loads(index)["manifests"]
    wanted = {"os": "linux", "architecture": architecture}
    found = [item["digest"] for item in items if wanted.items() <= item.get("platform", {}).items()]
    if len(found) != 1:
        platforms = sorted({f"{p.get('os')}/{p.get('architecture')}" for p in (i.get("platform", {}) for i in items)})
        raise StepFailed(
            f"The index that was pushed has {len(found)} images for linux/{architecture}; "
            f"it has {', '.join(platforms)}.",
            _ADVICE,
        )
    return str(found[0])


def as_schema_2(manifest: str) -> str:
    """Docker's manifest of the same image; one that is Docker's already stays as it is, byte for byte. Raises
    StepFailed for layers that Docker's manifest cannot name."""
    content: dict[str, Any] = json.loads(manifest)
    if content.get("mediaType") == SCHEMA_2:
        return manifest
    if others := {layer["mediaType"] for layer in content["layers"]} - set(_GZIP_LAYERS):
        raise StepFailed(f"The image has layers of the kind {min(others)}, which SageMaker does not take.", _ADVICE)
    layers = [_descriptor(_LAYER, layer) for layer in content["layers"]]
    config = _descriptor(_CONFIG, content["config"])
    return json.dumps({"schemaVersion": 2, "mediaType": SCHEMA_2, "config": config, "layers": layers})


def size_bytes(manifest: str) -> int:
    """Of the image's layers, compressed, and its configuration; 0 for an index."""
    content: dict[str, Any] = json.loads(manifest)
    blobs = (content["config"], *content["layers"]) if "layers" in content else ()
    return sum(int(blob["size"]) for blob in blobs)


def _descriptor(media_type: str, blob: Mapping[str, Any]) -> dict[str, Any]:
    return {"mediaType": media_type, "size": blob["size"], "digest": blob["digest"]}

"""An image's manifest, written anew as SageMaker takes it."""

import json
from typing import Any

import pytest

from infra import manifests
from infra.errors import StepFailed

GZIP = "application/vnd.oci.image.layer.v1.tar+gzip"


def blob(media_type: str, number: int) -> dict[str, Any]:
    return {"mediaType": media_type, "digest": f"sha256:{number:064x}", "size": number}


def oci(layer: str = GZIP) -> dict[str, Any]:
    config = blob("application/vnd.oci.image.config.v1+json", 1)
    return {"schemaVersion": 2, "mediaType": manifests.OCI_MANIFEST, "config": config, "layers": [blob(layer, 2)]}


def index(*platforms: str) -> str:
    items = []
    for number, platform in enumerate(platforms):
        system, architecture = platform.split("/")
        place = {"platform": {"os": system, "architecture": architecture}}
        items.append({**blob(manifests.OCI_MANIFEST, number), **place})
    return json.dumps({"schemaVersion": 2, "mediaType": manifests.INDEXES[0], "manifests": items})


def test_the_blobs_stay_and_their_types_become_docker_s() -> None:
    found = json.loads(manifests.as_schema_2(json.dumps(oci())))
    assert found == {
        "schemaVersion": 2,
        "mediaType": "application/vnd.docker.distribution.manifest.v2+json",
        "config": blob("application/vnd.docker.container.image.v1+json", 1),
        "layers": [blob("application/vnd.docker.image.rootfs.diff.tar.gzip", 2)],
    }


def test_docker_s_own_stays_byte_for_byte() -> None:
    text = json.dumps({**oci(), "mediaType": manifests.SCHEMA_2}, indent=3)
    assert manifests.as_schema_2(text) == text


def test_the_same_manifest_is_always_written_alike() -> None:
    assert manifests.as_schema_2(json.dumps(oci())) == manifests.as_schema_2(json.dumps(oci(), indent=2))


def test_layers_that_docker_s_cannot_name_are_refused() -> None:
    with pytest.raises(StepFailed, match=r"layers of the kind application/vnd.oci.image.layer.v1.tar\+zstd"):
        manifests.as_schema_2(json.dumps(oci("application/vnd.oci.image.layer.v1.tar+zstd")))


def test_the_image_beside_an_attestation_is_found() -> None:
    assert manifests.image_in(index("unknown/unknown", "linux/amd64"), "amd64") == f"sha256:{1:064x}"


@pytest.mark.parametrize("platforms", [("linux/arm64",), ("linux/amd64", "linux/amd64")])
def test_an_index_without_just_one_image_is_refused(platforms: tuple[str, ...]) -> None:
    with pytest.raises(StepFailed, match="images for linux/amd64; it has linux/"):
        manifests.image_in(index(*platforms), "amd64")

"""What a manifest says."""

import hashlib
import json
from typing import Any

import pytest

from stagemaker.registry.manifest_plan import MediaTypeMissing, read_manifest
from tests.unit.plugin.registry.ecr_environment import INDEX, OCI, index, manifest


def test_the_size_is_that_of_the_layers_and_the_configuration() -> None:
    text = manifest(1, size=1000)
    found = read_manifest(text.encode(), None)
    assert (found.size_bytes, found.media_type) == (1010, OCI)
    assert found.artifact_media_type == "application/vnd.oci.image.config.v1+json"
    assert found.digest == "sha256:" + hashlib.sha256(text.encode()).hexdigest()


def test_an_index_has_children() -> None:
    digests = tuple(f"sha256:{n:064x}" for n in (1, 2))
    found = read_manifest(index(*digests).encode(), INDEX)
    assert (found.children, found.size_bytes) == (digests, 0)


@pytest.mark.parametrize(
    ("content", "media_type", "message"),
    [
        ("{", None, "Invalid JSON syntax"),
        ("[" * 1_000_000, None, "Invalid JSON syntax"),
        ({"mediaType": ["x"]}, None, "names no media type"),
        ({"mediaType": {}}, OCI, "names no media type"),
        ([], None, "not a JSON object"),
        ({"config": None, "layers": []}, OCI, "names a blob without"),
        ({"config": {"digest": "sha256:" + "0" * 64, "size": 1}}, OCI, "has no list 'layers'"),
        ({"config": {"digest": "md5:1", "size": 1}, "layers": []}, OCI, "names a blob without"),
        ({"config": {"digest": "sha256:" + "0" * 64, "size": -1}, "layers": []}, OCI, "names a blob without"),
        ({"schemaVersion": 1}, "application/vnd.docker.distribution.manifest.v1+json", "is not supported"),
        ({"mediaType": OCI}, INDEX, "and its sender that it is"),
    ],
)
def test_what_is_wrong_is_said(content: Any, media_type: str | None, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        read_manifest((content if isinstance(content, str) else json.dumps(content)).encode(), media_type)


@pytest.mark.parametrize("content", [{"manifests": []}, {"config": {}, "layers": []}, {"mediaType": ""}])
def test_a_media_type_must_be_given_by_the_manifest_or_its_sender(content: Any) -> None:
    body = json.dumps(content).encode()
    with pytest.raises(MediaTypeMissing, match="image manifest mediatype not provided in manifest or parameter"):
        read_manifest(body, None)


def test_the_sender_s_media_type_is_taken_where_the_manifest_has_none() -> None:
    content = {key: value for key, value in json.loads(manifest(1)).items() if key != "mediaType"}
    assert read_manifest(json.dumps(content).encode(), OCI).media_type == OCI

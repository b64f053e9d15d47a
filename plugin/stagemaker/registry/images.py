"""The images of a repository: DescribeImages and its kin. What they hold is read from the registry."""

from collections.abc import Mapping
from typing import Any

from stagemaker.core.refs import Ref, Scope
from stagemaker.core.store import Record
from stagemaker.registry.catalog import Catalog, RepositoryImage, images, named, referenced, tags_of
from stagemaker.registry.errors import image_missing, invalid, invalid_at
from stagemaker.registry.image_ids import NOT_FOUND, Failure, find_image
from stagemaker.registry.manifest_plan import DIGEST, TAG
from stagemaker.registry.paging import page

_REFERENCED = Failure(
    "ImageReferencedByManifestList", "Requested image referenced by manifest list: delete the manifest list first"
)


class RepositoryImages:
    """The operations; each answers NotImplementedException (501) where there is no registry."""

    def __init__(self, catalog: Catalog) -> None:
        self._catalog = catalog

    def describe_images(self, scope: Scope, request: dict[str, Any]) -> dict[str, Any]:
        """All, or those that are named: one that is not there is an error."""
        ref, record = self._find(scope, request)
        if "imageIds" not in request:
            there = images(record)
            wanted = {digest: there[digest] for digest in there if _has_status(tags_of(record, digest), request)}
            found, more = page(wanted, request)
            return {"imageDetails": [_detail(ref, record, image) for image in found], **more}
        asked: dict[str, RepositoryImage] = {}
        for image_id in request["imageIds"]:
            image = find_image(record, image_id)
            if isinstance(image, Failure) and image.code == "ImageNotFound":
                raise image_missing(ref, image_id.get("imageDigest"), image_id.get("imageTag"))
            if isinstance(image, Failure):
                raise invalid(image.reason)
            asked[image.digest] = image
        return {"imageDetails": [_detail(ref, record, image) for image in asked.values()]}

    def list_images(self, scope: Scope, request: dict[str, Any]) -> dict[str, Any]:
        """One id for each tag, and one for each image without a tag."""
        _, record = self._find(scope, request)
        ids = {}
        for digest in images(record):
            for tag in tags_of(record, digest) or [""]:
                if _has_status([tag] if tag else [], request):
                    ids[f"{digest}:{tag}"] = _image_id(digest, tag)
        found, more = page(ids, request)
        return {"imageIds": found, **more}

    def batch_get_image(self, scope: Scope, request: dict[str, Any]) -> dict[str, Any]:
        """The manifests, byte for byte as they were pushed."""
        ref, record = self._find(scope, request)
        found, failures = [], []
        for image_id in request["imageIds"]:
            image = find_image(record, image_id)
            if isinstance(image, Failure):
                failures.append(image.answer(image_id))
            elif manifest := self._catalog.manifest(ref, image.digest):
                tag, text = image_id.get("imageTag"), manifest.decode()
                found.append(_image(ref, image.digest, tag, text, image.media_type))
            else:
                failures.append(NOT_FOUND.answer(image_id))
        return {"images": found, "failures": failures}

    def batch_delete_image(self, scope: Scope, request: dict[str, Any]) -> dict[str, Any]:
        """By tag: take the tag off, and delete the image when it was the last; by digest: delete the image."""
        (ref, _), deleted, failures = self._find(scope, request), [], []
        with self._catalog.alone(ref):
            for image_id in request["imageIds"]:
                record = self._catalog.repository(ref)
                image = find_image(record, image_id)
                if isinstance(image, Failure):
                    failures.append(image.answer(image_id))
                    continue
                tags, tag = tags_of(record, image.digest), image_id.get("imageTag")
                if image.digest in referenced(record) and (tag is None or tags == [tag]):
                    failures.append(_REFERENCED.answer(image_id))
                elif tag is not None:
                    self._catalog.untag(ref, tag)
                    deleted.append(_image_id(image.digest, tag))
                else:
                    self._catalog.remove(ref, [image.digest])
                    deleted += [_image_id(image.digest, each) for each in tags or [""]]
        return {"imageIds": deleted, "failures": failures}

    def put_image(self, scope: Scope, request: dict[str, Any]) -> dict[str, Any]:
        """Store a manifest whose layers are there, or give another tag to an image that is."""
        ref, _ = self._find(scope, request)
        text, tag = request["imageManifest"], request.get("imageTag")
        if tag is not None and not TAG.fullmatch(tag):
            raise invalid_at("imageTag", f"must satisfy regular expression '{TAG.pattern}'")
        kind = request.get("imageManifestMediaType")
        manifest = self._catalog.push(ref, text.encode(), kind, tag, digest=request.get("imageDigest"), again=False)
        return {"image": _image(ref, manifest.digest, tag, text, manifest.media_type)}

    def batch_check_layer_availability(self, scope: Scope, request: dict[str, Any]) -> dict[str, Any]:
        """Asked of the registry, layer by layer."""
        ref, _ = self._find(scope, request)
        layers, failures = [], []
        for digest in request["layerDigests"]:
            if not DIGEST.fullmatch(digest):
                reason = "Invalid request parameters: layer digest is not a SHA-256 digest"
                failures.append({"layerDigest": digest, "failureCode": "InvalidLayerDigest", "failureReason": reason})
                continue
            size = self._catalog.backend.blob_size(ref, digest)
            there = {"layerAvailability": "AVAILABLE", "layerSize": size}
            layers.append({"layerDigest": digest, **(there if size is not None else _UNAVAILABLE)})
        return {"layers": layers, "failures": failures}

    def _find(self, scope: Scope, request: Mapping[str, Any]) -> tuple[Ref, Record]:
        """The record, after the lifecycle policy was applied."""
        ref, _ = self._catalog.asked_for(scope, request)
        _ = self._catalog.backend  # raises where there is none
        self._catalog.expire(ref)
        return ref, self._catalog.repository(ref)


_UNAVAILABLE = {"layerAvailability": "UNAVAILABLE"}


def _detail(ref: Ref, record: Record, image: RepositoryImage) -> dict[str, Any]:
    tags = tags_of(record, image.digest)
    return {
        **named(ref),
        "imageDigest": image.digest,
        **({"imageTags": tags} if tags else {}),
        "imageSizeInBytes": image.size_bytes,
        "imagePushedAt": image.pushed_at,
        "imageManifestMediaType": image.media_type,
        **({"artifactMediaType": image.artifact_media_type} if image.artifact_media_type else {}),
    }


def _image(ref: Ref, digest: str, tag: str | None, manifest: str, media_type: str) -> dict[str, Any]:
    return {
        **named(ref),
        "imageId": _image_id(digest, tag),
        "imageManifest": manifest,
        "imageManifestMediaType": media_type,
    }


def _image_id(digest: str, tag: str | None) -> dict[str, str]:
    return {"imageDigest": digest, **({"imageTag": tag} if tag else {})}


def _has_status(tags: list[str], request: Mapping[str, Any]) -> bool:
    """Whether the filter, if there is one, lets the image through."""
    chosen = request.get("filter", {})
    if chosen.get("imageStatus", "ACTIVE") not in ("ACTIVE", "ANY"):
        return False  # nothing is ever archived here
    return chosen.get("tagStatus", "ANY") in ("ANY", "TAGGED" if tags else "UNTAGGED")

"""Which repositories there are, and which images and tags each has: the records behind ECR's operations and the front.

A record holds "Repository" (as DescribeRepositories answers it), "Tags" (of the resource), "Images" (by digest) and
"ImageTags" (tag to digest), and where they were put "Policy", "Lifecycle" and "Preview".
"""

import fnmatch
import threading
from collections.abc import Callable, Iterable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any

from stagemaker.core.errors import ApiError
from stagemaker.core.refs import Scope
from stagemaker.core.store import Record, Store
from stagemaker.registry.backend import Backend
from stagemaker.registry.errors import image_exists, invalid, no_registry, repository_missing, tag_immutable
from stagemaker.registry.lifecycle_plan import Candidate, expired, read_policy
from stagemaker.registry.manifest_plan import Manifest, read_manifest

KIND = "ecr-repository"
UNTAGGED_GRACE_S = 600.0  # ours: the index that names an image is pushed after it, once all its other images are there


@dataclass(frozen=True)
class Image:
    """`size_bytes` as DescribeImages answers it: of an index, the greatest of its images."""

    digest: str
    media_type: str
    artifact_media_type: str
    size_bytes: int
    children: tuple[str, ...]
    pushed_at: float


class Catalog:
    """Thread-safe. `backend` None: there is no registry, and nothing that needs images works."""

    def __init__(self, store: Store, backend: Backend | None, clock: Callable[[], float]) -> None:
        self.store, self._backend, self._clock = store, backend, clock
        self._locks: dict[tuple[Scope, str], AbstractContextManager[bool]] = {}

    @property
    def backend(self) -> Backend:
        """Raises NotImplementedException (501) when there is none."""
        if self._backend is None:
            raise no_registry()
        return self._backend

    def repository(self, scope: Scope, name: str) -> Record:
        """The record as it is now. Raises RepositoryNotFoundException."""
        record = self.store.get(scope, KIND, name)
        if record is None:
            raise repository_missing(scope, name)
        return record

    def alone(self, scope: Scope, name: str) -> AbstractContextManager[bool]:
        """The repository's lock (re-entrant), to be taken before the store's: images change in the registry and in the
        record under it, so that nobody comes between the two. Raises RepositoryNotFoundException."""
        with self.store.lock:
            self.repository(scope, name)
            return self._locks.setdefault((scope, name), threading.RLock())

    def update(self, scope: Scope, name: str, **changes: Any) -> Record:
        """Replace a part of the record. Raises RepositoryNotFoundException."""
        with self.store.lock:
            self.repository(scope, name)
            return self.store.update(scope, KIND, name, **changes)

    def push(
        self,
        scope: Scope,
        name: str,
        body: bytes,
        media_type: str | None,
        tag: str | None,
        *,
        digest: str | None = None,
        again: bool = True,
    ) -> Manifest:
        """Store a manifest whose blobs are there already, and tag it; after a tag the lifecycle policy is applied.

        `digest` is what its sender says that it is; `again`: pushing what is there already is no error. Raises as
        PutImage does; then nothing has changed, except when only the policy could not be applied."""
        try:
            manifest = read_manifest(body, media_type)
        except ValueError as error:
            raise invalid(f"Invalid parameter at 'ImageManifest' failed to satisfy constraint: '{error}'") from None
        if digest not in (None, manifest.digest):
            raise ApiError("ImageDigestDoesNotMatchException", f"The image manifest's digest is not {digest}.")
        with self.alone(scope, name):
            record = self._check(scope, name, manifest, tag, again)
            self.backend.put_manifest(scope, name, manifest.digest, manifest.media_type, body)
            images = record["Images"]
            if manifest.digest not in images:
                images = {**images, manifest.digest: self._image(manifest, images)}
            tags = {**record["ImageTags"], **({tag: manifest.digest} if tag else {})}
            self.update(scope, name, Images=images, ImageTags=tags)
            if tag:
                self.expire(scope, name)
        return manifest

    def manifest(self, scope: Scope, name: str, digest: str) -> bytes | None:
        """As it was pushed, or None when it was deleted meanwhile. ServerException when the registry has lost it."""
        with self.alone(scope, name):
            there = digest in self.repository(scope, name)["Images"]
            return self.backend.manifest(scope, name, digest) if there else None

    def untag(self, scope: Scope, name: str, tag: str) -> None:
        """Take the tag off; an image without a tag left is deleted, as BatchDeleteImage does."""
        with self.alone(scope, name):
            tags = dict(self.repository(scope, name)["ImageTags"])
            digest = tags.pop(tag, None)
            if digest in tags.values():
                self.update(scope, name, ImageTags=tags)
            elif digest is not None:
                self.remove(scope, name, [digest])

    def remove(self, scope: Scope, name: str, digests: Iterable[str]) -> None:
        """Delete images and their tags one by one, first in the registry: when it does not answer, the record of the
        rest stays. An index goes before the images that it names."""
        with self.alone(scope, name):
            kept = referenced(self.repository(scope, name))
            for digest in sorted(digests, key=lambda digest: digest in kept):
                self.backend.delete_manifest(scope, name, digest)
                record = self.repository(scope, name)
                images = {other: image for other, image in record["Images"].items() if other != digest}
                tags = {tag: other for tag, other in record["ImageTags"].items() if other != digest}
                self.update(scope, name, Images=images, ImageTags=tags)

    def expire(self, scope: Scope, name: str) -> None:
        """Apply the lifecycle policy: when it is put, after a push of a tag and before images are listed or described.

        (AWS does it within 24 hours of the moment at which an image meets a rule.)"""
        if not self.repository(scope, name).get("Lifecycle"):
            return  # and waits for no push
        with self.alone(scope, name):
            record, now = self.repository(scope, name), self._clock()
            policy = record.get("Lifecycle")
            if policy and (found := expired(read_policy(policy), candidates(record, now), now)):
                self.remove(scope, name, found)
            self.update(scope, name, LifecycleEvaluatedAt=now)

    def _check(self, scope: Scope, name: str, manifest: Manifest, tag: str | None, again: bool) -> Record:
        record = self.repository(scope, name)
        there = record["ImageTags"].get(tag)
        if manifest.digest in record["Images"] and (tag is None or there == manifest.digest) and not again:
            raise image_exists(scope, name, manifest.digest, tag)
        if tag and there not in (None, manifest.digest) and is_immutable(record["Repository"], tag):
            raise tag_immutable(name, tag)
        if missing := [digest for digest in manifest.children if digest not in record["Images"]]:
            raise ApiError(
                "ReferencedImagesNotFoundException",
                f"The images with imageIds {missing} do not exist within the repository with name '{name}' in the "
                f"registry with id '{scope.account}'",
            )
        return record

    def _image(self, manifest: Manifest, images: Mapping[str, Image]) -> Image:
        size = max((images[child].size_bytes for child in manifest.children), default=manifest.size_bytes)
        return Image(
            manifest.digest, manifest.media_type, manifest.artifact_media_type, size, manifest.children, self._clock()
        )


def is_immutable(repository: Mapping[str, Any], tag: str) -> bool:
    """Whether the tag, once set, stays: the repository's rule, or its opposite for a tag that an exclusion names."""
    rule = repository["imageTagMutability"]
    filters = repository.get("imageTagMutabilityExclusionFilters", [])
    excluded = any(fnmatch.fnmatchcase(tag, item["filter"]) for item in filters)
    return bool(rule.startswith("IMMUTABLE") != excluded)


def tags_of(record: Record, digest: str) -> list[str]:
    """The image's tags, in order of their names."""
    return sorted(tag for tag, tagged in record["ImageTags"].items() if tagged == digest)


def referenced(record: Record) -> set[str]:
    """The digests of images that an index in the repository names."""
    return {child for image in record["Images"].values() for child in image.children}


def candidates(record: Record, now: float) -> list[Candidate]:
    """What a lifecycle policy looks at: AWS does not expire an image that an index names, and we none whose index may
    still be on its way."""
    kept = referenced(record)
    found = [
        Candidate(image.digest, tuple(tags_of(record, image.digest)), image.pushed_at)
        for image in record["Images"].values()
        if image.digest not in kept
    ]
    return [image for image in found if image.tags or now - image.pushed_at >= UNTAGGED_GRACE_S]

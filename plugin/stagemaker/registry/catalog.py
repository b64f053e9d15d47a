"""Which repositories there are, and which images and tags each has: the records behind ECR's operations and the front.

A record holds what DescribeRepositories answers, the resource's "Tags", and under OWN what the stage keeps beside it:
"Images" (RepositoryImage by digest), "ImageTags" (tag to digest), and once they were put "Policy", "Lifecycle",
"LifecycleEvaluatedAt" and "Preview".
"""

import fnmatch
import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import asdict, dataclass
from typing import Any

from stagemaker.api.operation import OWN
from stagemaker.core.errors import ApiError
from stagemaker.core.kinds import REPOSITORY
from stagemaker.core.refs import Ref, Scope
from stagemaker.core.store import Record, Store
from stagemaker.registry.backend import Backend
from stagemaker.registry.errors import image_exists, invalid, invalid_at, no_registry, repository_missing, tag_immutable
from stagemaker.registry.lifecycle_plan import Candidate, expired, read_policy
from stagemaker.registry.manifest_plan import Manifest, MediaTypeMissing, read_manifest
from stagemaker.registry.paging import refuse_foreign

UNTAGGED_GRACE_S = 600.0  # ours: the index that names an image is pushed after it, once all its other images are there


@dataclass(frozen=True)
class RepositoryImage:
    """An image of a repository, as its record keeps it: `asdict` writes it, `images` reads it.

    `size_bytes` as DescribeImages answers it: of an index, the greatest of its images. `pushed_at` in epoch seconds."""

    digest: str
    media_type: str
    artifact_media_type: str
    size_bytes: int
    children: Sequence[str]
    pushed_at: float


class Catalog:
    """Thread-safe. `backend` None: there is no registry, and nothing that needs images works."""

    def __init__(self, store: Store, backend: Backend | None, clock: Callable[[], float]) -> None:
        self.store, self._backend, self._clock = store, backend, clock
        self._locks: dict[Ref, AbstractContextManager[bool]] = {}

    @property
    def backend(self) -> Backend:
        """Raises NotImplementedException (501) when there is none."""
        if self._backend is None:
            raise no_registry()
        return self._backend

    def repository(self, ref: Ref) -> Record:
        """The record as it is now. Raises RepositoryNotFoundException."""
        record = self.store.get(ref)
        if record is None:
            raise repository_missing(ref)
        return record

    def asked_for(self, scope: Scope, request: Mapping[str, Any]) -> tuple[Ref, Record]:
        """The repository that a request names, in the registry that it names or else the caller's. Raises
        RepositoryNotFoundException; NotImplementedException (501) for one of another account."""
        ref = repository_ref(Scope(request.get("registryId", scope.account), scope.region), request["repositoryName"])
        record = self.repository(ref)
        refuse_foreign(scope, request)
        return ref, record

    def alone(self, ref: Ref) -> AbstractContextManager[bool]:
        """The repository's lock (re-entrant), to be taken before the store's: images change in the registry and in the
        record under it, so that nobody comes between the two. Raises RepositoryNotFoundException."""
        with self.store.lock:
            self.repository(ref)
            return self._locks.setdefault(ref, threading.RLock())

    def keep(self, ref: Ref, **changes: Any) -> None:
        """Replace parts of what the stage keeps beside the repository. Raises RepositoryNotFoundException."""
        with self.store.lock:
            kept = self.repository(ref)[OWN]
            self.store.update(ref, **{OWN: {**kept, **changes}})

    def push(
        self,
        ref: Ref,
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
            raise invalid_at("ImageManifest", str(error)) from None
        except MediaTypeMissing as error:
            raise invalid(str(error)) from None
        if digest not in (None, manifest.digest):
            raise ApiError("ImageDigestDoesNotMatchException", f"The image manifest's digest is not {digest}.")
        with self.alone(ref):
            record = self._check(ref, manifest, tag, again)
            self.backend.put_manifest(ref, manifest.digest, manifest.media_type, body)
            kept = record[OWN]["Images"]
            if manifest.digest not in kept:
                kept = {**kept, manifest.digest: asdict(self._image(manifest, images(record)))}
            tags = {**image_tags(record), **({tag: manifest.digest} if tag else {})}
            self.keep(ref, Images=kept, ImageTags=tags)
            if tag:
                self.expire(ref)
        return manifest

    def manifest(self, ref: Ref, digest: str) -> bytes | None:
        """As it was pushed, or None when it was deleted meanwhile. ServerException when the registry has lost it."""
        with self.alone(ref):
            there = digest in self.repository(ref)[OWN]["Images"]
            return self.backend.manifest(ref, digest) if there else None

    def untag(self, ref: Ref, tag: str) -> None:
        """Take the tag off; an image without a tag left is deleted, as BatchDeleteImage does."""
        with self.alone(ref):
            tags = image_tags(self.repository(ref))
            digest = tags.pop(tag, None)
            if digest in tags.values():
                self.keep(ref, ImageTags=tags)
            elif digest is not None:
                self.remove(ref, [digest])

    def remove(self, ref: Ref, digests: Iterable[str]) -> None:
        """Delete images and their tags one by one, first in the registry: when it does not answer, the record of the
        rest stays. An index goes before the images that it names."""
        with self.alone(ref):
            named = referenced(self.repository(ref))
            for digest in sorted(digests, key=lambda digest: digest in named):
                self.backend.delete_manifest(ref, digest)
                record = self.repository(ref)
                kept = {other: image for other, image in record[OWN]["Images"].items() if other != digest}
                tags = {tag: other for tag, other in image_tags(record).items() if other != digest}
                self.keep(ref, Images=kept, ImageTags=tags)

    def expire(self, ref: Ref) -> None:
        """Apply the lifecycle policy: when it is put, after a push of a tag and before images are listed or described.

        (AWS does it within 24 hours of the moment at which an image meets a rule.)"""
        if not self.repository(ref)[OWN].get("Lifecycle"):
            return  # and waits for no push
        with self.alone(ref):
            record, now = self.repository(ref), self._clock()
            policy = record[OWN].get("Lifecycle")
            if policy and (found := expired(read_policy(policy), candidates(record, now), now)):
                self.remove(ref, found)
            self.keep(ref, LifecycleEvaluatedAt=now)

    def _check(self, ref: Ref, manifest: Manifest, tag: str | None, again: bool) -> Record:
        record = self.repository(ref)
        there, digests = image_tags(record).get(tag or ""), record[OWN]["Images"]
        if manifest.digest in digests and (tag is None or there == manifest.digest) and not again:
            raise image_exists(ref, manifest.digest, tag)
        if tag and there not in (None, manifest.digest) and is_immutable(record, tag):
            raise tag_immutable(ref, tag)
        if missing := [digest for digest in manifest.children if digest not in digests]:
            raise ApiError(
                "ReferencedImagesNotFoundException",
                f"The images with imageIds {missing} do not exist within the repository with name '{ref.name}' in the "
                f"registry with id '{ref.scope.account}'",
            )
        return record

    def _image(self, manifest: Manifest, there: Mapping[str, RepositoryImage]) -> RepositoryImage:
        size = max((there[child].size_bytes for child in manifest.children), default=manifest.size_bytes)
        return RepositoryImage(
            manifest.digest, manifest.media_type, manifest.artifact_media_type, size, manifest.children, self._clock()
        )


def repository_ref(scope: Scope, name: str) -> Ref:
    """The address of a repository's record."""
    return Ref(scope, REPOSITORY, name)


def named(ref: Ref) -> dict[str, str]:
    """The two members of nearly every answer that say which repository it is about."""
    return {"registryId": ref.scope.account, "repositoryName": ref.name}


def images(record: Record) -> dict[str, RepositoryImage]:
    """The images of a repository, by digest."""
    return {digest: RepositoryImage(**image) for digest, image in record[OWN]["Images"].items()}


def image(record: Record, digest: str) -> RepositoryImage | None:
    """The image of a repository with this digest."""
    kept = record[OWN]["Images"].get(digest)
    return RepositoryImage(**kept) if kept else None


def image_tags(record: Record) -> dict[str, str]:
    """The tags of a repository's images: tag to digest."""
    return dict(record[OWN]["ImageTags"])


def is_immutable(repository: Mapping[str, Any], tag: str) -> bool:
    """Whether the tag, once set, stays: the repository's rule, or its opposite for a tag that an exclusion names."""
    rule = repository["imageTagMutability"]
    filters = repository.get("imageTagMutabilityExclusionFilters", [])
    excluded = any(fnmatch.fnmatchcase(tag, item["filter"]) for item in filters)
    return bool(rule.startswith("IMMUTABLE") != excluded)


def tags_of(record: Record, digest: str) -> list[str]:
    """The image's tags, in order of their names."""
    return sorted(tag for tag, tagged in image_tags(record).items() if tagged == digest)


def referenced(record: Record) -> set[str]:
    """The digests of images that an index in the repository names."""
    return {child for image in images(record).values() for child in image.children}


def candidates(record: Record, now: float) -> list[Candidate]:
    """What a lifecycle policy looks at: AWS does not expire an image that an index names, and we none whose index may
    still be on its way."""
    named = referenced(record)
    found = [
        Candidate(image.digest, tuple(tags_of(record, image.digest)), image.pushed_at)
        for image in images(record).values()
        if image.digest not in named
    ]
    return [image for image in found if image.tags or now - image.pushed_at >= UNTAGGED_GRACE_S]

"""What we change in how LocalStack's S3 stores objects: a write that breaks off changes nothing, and keeps no disk.

An object is a temporary file without a name. LocalStack overwrites it in place: when the client goes in the middle, or
the disk gets full, the former object is lost, and what is left of a new one holds disk that nobody can give back.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from copy import copy
from typing import Any

from botocore.exceptions import ClientError
from localstack.aws.api import RequestContext
from localstack.http import Request, Response
from localstack.services.s3.provider import S3Provider
from localstack.services.s3.storage.core import should_copy_in_place
from localstack.services.s3.storage.ephemeral import (
    EphemeralS3ObjectStore,
    EphemeralS3StoredMultipart,
    EphemeralS3StoredObject,
    LockedSpooledTemporaryFile,
)
from localstack.services.s3.website_hosting import S3WebsiteHostingHandler

from stagemaker.access.s3_actions import REFUSED_KEYS
from stagemaker.adapters import enforcement
from stagemaker.adapters.patches import Patch
from stagemaker.app import App

_FORBIDDEN = "<html><head><title>403 Forbidden</title></head><body><h1>403 Forbidden</h1></body></html>"


@contextmanager
def _replacing(stored: EphemeralS3StoredObject) -> Iterator[None]:
    """What is written meanwhile becomes the object at the end, and is gone after an error."""
    new_file: Any = LockedSpooledTemporaryFile
    file: Any = stored.file
    with new_file(dir=file._TemporaryFileArgs["dir"], max_size=file._max_size) as written:
        stored.file = written
        try:
            yield
        finally:
            stored.file = file
        with file.position_lock:  # its locks stay: others wait for them
            if file.closed:
                raise ValueError("The object was deleted while it was written.")
            for member in ("_file", "_rolled", "internal_last_modified"):
                former = getattr(file, member)
                setattr(file, member, getattr(written, member))
                setattr(written, member, former)


def _write(_app: App, original: Any) -> Any:
    def write(self: EphemeralS3StoredObject, stream: Any) -> Any:
        with _replacing(self):
            return original(self, stream)

    return write


def _complete_multipart(_app: App, _original: Any) -> Any:
    def complete_multipart(self: EphemeralS3StoredMultipart, parts: list[Any]) -> None:
        whole = self._s3_store.open(self.bucket, self.s3_multipart.object, mode="w")
        with whole, _replacing(whole):
            for part in parts:
                with self.open(part, mode="r") as stored:
                    whole.append(stored)

    return complete_multipart


def _copy(_app: App, original: Any) -> Any:
    def copy(self: EphemeralS3ObjectStore, src_bucket: str, src_object: Any, dest_bucket: str, dest_object: Any) -> Any:
        if should_copy_in_place(src_bucket, src_object, dest_bucket, dest_object):
            return original(self, src_bucket, src_object, dest_bucket, dest_object)
        with self.open(src_bucket, src_object, mode="r") as source:
            copied: Any = self.open(dest_bucket, dest_object, mode="w")
            try:
                copied.write(source)
            except BaseException:
                copied.close()
                raise
        return copied

    return copy


def _delete_objects(_app: App, original: Any) -> Any:
    def delete_objects(self: S3Provider, context: RequestContext, bucket: str, delete: Any, **named: Any) -> Any:
        refused: dict[int, str] = getattr(context, REFUSED_KEYS, {})
        if not refused:
            return original(self, context, bucket, delete, **named)
        objects = list(enumerate(delete["Objects"]))
        allowed = [entry for place, entry in objects if place not in refused]
        answer = original(self, context, bucket, {**delete, "Objects": allowed}, **named) if allowed else {}
        errors = [
            {**entry, "Code": "AccessDenied", "Message": refused[place]} for place, entry in objects if place in refused
        ]
        return {**answer, "Errors": [*answer.get("Errors", []), *errors]}

    return delete_objects


class _PublicReads:
    """A client of S3 that reads only the objects that everybody may read."""

    def __init__(self, client: Any, may_read: Callable[[str, str], bool]) -> None:
        self._client, self._may_read = client, may_read

    def __getattr__(self, name: str) -> Any:
        return getattr(self._client, name)

    def get_object(self, **request: Any) -> Any:
        """As the client's. ClientError with the code AccessDenied."""
        if not self._may_read(request["Bucket"], request["Key"]):
            raise ClientError({"Error": {"Code": "AccessDenied", "Message": "Access Denied"}}, "GetObject")
        return self._client.get_object(**request)


def _website(_app: App, original: Any) -> Any:
    def __call__(
        self: S3WebsiteHostingHandler, request: Request, bucket_name: str, domain: Any = None, path: Any = None
    ) -> Response:
        reader = copy(self)
        reader.s3_client = _PublicReads(self.s3_client, enforcement.installed().may_everybody_read)
        try:
            response: Response = original(reader, request, bucket_name, domain, path)
        except ClientError as error:
            if error.response["Error"]["Code"] != "AccessDenied":
                raise
            return Response(_FORBIDDEN, status=403, mimetype="text/html")
        return response

    return __call__


PATCHES = (
    Patch(
        S3WebsiteHostingHandler,
        "__call__",
        ("self", "request", "bucket_name", "domain", "path"),
        _website,
        why="A website shows every object of its bucket.",
        without="Whoever reaches the stage reads what the policy of a bucket with a website lets nobody read.",
    ),
    Patch(
        S3Provider,
        "delete_objects",
        (
            "self",
            "context",
            "bucket",
            "delete",
            "mfa",
            "request_payer",
            "bypass_governance_retention",
            "expected_bucket_owner",
            "checksum_algorithm",
            "kwargs",
        ),
        _delete_objects,
        why="A caller may delete some of the keys only: S3 deletes these, and names the others in its answer.",
        without="Keys that the caller may not delete are deleted.",
    ),
    Patch(
        EphemeralS3StoredObject,
        "write",
        ("self", "stream"),
        _write,
        why="An object is overwritten in place, and what was written of a new one stays after an error.",
        without="A client that goes in the middle of an upload destroys the former object, or holds disk for ever.",
    ),
    Patch(
        EphemeralS3StoredMultipart,
        "complete_multipart",
        ("self", "parts"),
        _complete_multipart,
        why="The parts are put together in place of the former object.",
        without="On a full disk the former object is lost, and half of the new one stays.",
    ),
    Patch(
        EphemeralS3ObjectStore,
        "copy",
        ("self", "src_bucket", "src_object", "dest_bucket", "dest_object"),
        _copy,
        why="A copy that fails keeps its lock.",
        without="After a full disk the next write of that key waits for ever, and LocalStack does not end.",
    ),
)

"""Files kept in step with a bucket: an unchanged file is never sent again.

A manifest object beside the data holds each file's SHA-256. A file is left alone when the manifest knows its digest
and S3 lists it with its size. Before anything is sent the manifest forgets what is about to change, so that a run that
is cut short is made good by the next, which sends what the manifest does not know.
"""

import hashlib
import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import AbstractContextManager
from dataclasses import dataclass
from itertools import batched
from pathlib import Path
from typing import Any

from botocore.exceptions import ClientError

from infra.errors import StepFailed
from infra.resources import titles
from infra.resources.resource import Change, Resource, State, error_code, find, is_missing
from infra.terminal import Advance
from infra.wait import check

_SENDERS = 8
SAVED_EVERY = 500  # (ours) files between two manifests while they are sent
_MAX_PUT_BYTES = 8 << 20  # larger files are sent in parts


@dataclass(frozen=True)
class File:
    """A file to keep in S3; `sha256` in hex."""

    path: Path
    sha256: str
    content_type: str = "application/octet-stream"


class StoredFiles(Resource):
    """`s3://<bucket>/<prefix>/` holds just `files`, by their key below the prefix. `noun` is what the reader calls
    them, such as photos; `bar` shows the progress of sending a number of them."""

    depends_on = (titles.BUCKET,)

    def __init__(
        self,
        s3: Any,
        bucket: str,
        prefix: str,
        files: Mapping[str, File],
        title: str,
        noun: str,
        bar: Callable[[str, int], AbstractContextManager[Advance]],
    ) -> None:
        self._s3, self._bucket, self._prefix, self._files = s3, bucket, prefix, files
        self._manifest = f"manifests/{prefix}.json"
        self._noun, self._bar = noun, bar
        self.title = title
        self.name = f"s3://{bucket}/{prefix}"

    def read(self) -> State | None:
        """`digests` of the manifest and `sizes` of the objects in bytes, by key below the prefix."""
        begin = f"{self._prefix}/"
        try:
            found = sizes(self._s3, self._bucket, begin)
        except ClientError as error:
            if not is_missing(error):
                raise
            return None
        digests = self._digests()
        if not found and digests is None:
            return None
        return {"digests": digests or {}, "sizes": {key.removeprefix(begin): size for key, size in found.items()}}

    def diff(self, state: State) -> list[Change]:
        """How many files are not in place, and how many objects are not of the files."""
        count, missing, extra = len(self._files), len(self._missing(state)), len(self._extra(state))
        changes = [Change(f"{self._noun} in place", f"{count - missing:,}", f"{count:,}")] if missing else []
        return [*changes, Change("other objects", f"{extra:,}", "0")] if extra else changes

    def create(self) -> str:
        """Send every file."""
        return self.update({"digests": {}, "sizes": {}}, [])

    def update(self, state: State, changes: list[Change]) -> str:
        """Send what is missing, several at a time, and delete what is not of the files."""
        missing = self._missing(state)
        known = {key: file.sha256 for key, file in self._files.items()}
        if state["digests"]:
            self._put_manifest({key: digest for key, digest in known.items() if key not in missing})
        with self._bar("uploading", len(self._files)) as advance:
            left = dict(missing)
            advance(len(self._files) - len(missing))
            for key in self._send(missing):
                del left[key]
                advance(1)
                if left and len(left) % SAVED_EVERY == 0:  # a run that is cut short has not sent all for nothing
                    self._put_manifest({key: digest for key, digest in known.items() if key not in left})
        delete(self._s3, self._bucket, (f"{self._prefix}/{key}" for key in self._extra(state)))
        self._put_manifest(known)
        return self._sent(len(missing))

    def delete(self) -> None:
        """Delete the objects and the manifest."""
        delete(self._s3, self._bucket, [self._manifest, *sizes(self._s3, self._bucket, f"{self._prefix}/")])

    def remark(self, state: State) -> str:
        """How many files were sent: none."""
        return self._sent(0)

    def _sent(self, count: int) -> str:
        return f"{count:,} of {len(self._files):,} {self._noun} sent"

    def _missing(self, state: State) -> dict[str, File]:
        digests, found = state["digests"], state["sizes"]
        return {
            key: file
            for key, file in self._files.items()
            if digests.get(key) != file.sha256 or found.get(key) != file.path.stat().st_size
        }

    def _extra(self, state: State) -> list[str]:
        return sorted(state["sizes"].keys() - self._files.keys())

    def _send(self, files: Mapping[str, File]) -> Iterator[str]:
        """The key of each as soon as S3 has it."""
        return _each(lambda key: self._put(key, files[key]), files)

    def _put(self, key: str, file: File) -> None:
        key = f"{self._prefix}/{key}"
        if file.path.stat().st_size > _MAX_PUT_BYTES:
            self._s3.upload_file(str(file.path), self._bucket, key, ExtraArgs={"ContentType": file.content_type})
        else:
            body = file.path.read_bytes()
            if hashlib.sha256(body).hexdigest() != file.sha256:
                raise StepFailed(f"The file {file.path} has changed since it was looked at.", "Run this again.")
            self._s3.put_object(Bucket=self._bucket, Key=key, Body=body, ContentType=file.content_type)

    def _digests(self) -> dict[str, str] | None:
        """Those of the manifest, None without one. They are not known once its KMS key cannot be used: S3 says so by a
        code that begins with `KMS.`."""
        try:
            found = find(self._s3.get_object, Bucket=self._bucket, Key=self._manifest)
        except ClientError as error:
            if error_code(error).startswith("KMS."):
                return {}
            raise
        return dict(json.loads(found["Body"].read())) if found else None

    def _put_manifest(self, digests: Mapping[str, str]) -> None:
        body = json.dumps(digests, indent=0, sort_keys=True).encode()
        self._s3.put_object(Bucket=self._bucket, Key=self._manifest, Body=body, ContentType="application/json")


def sizes(s3: Any, bucket: str, prefix: str) -> dict[str, int]:
    """The size in bytes of every object whose key begins so, by key."""
    pages = s3.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix)
    return {item["Key"]: int(item["Size"]) for page in pages for item in page.get("Contents", [])}


def encrypt(s3: Any, bucket: str, encryption: Mapping[str, Any]) -> int:
    """Write every object of the bucket anew in its place, encrypted as these members of CopyObject say; how many. The
    caller must be allowed to read each, also by the key that it is encrypted with now. S3 copies 5 GB at most so."""

    def copy(key: str) -> None:
        s3.copy_object(Bucket=bucket, Key=key, CopySource={"Bucket": bucket, "Key": key}, **encryption)

    return sum(1 for _ in _each(copy, sizes(s3, bucket, "")))


def _each(call: Callable[[str], None], keys: Iterable[str]) -> Iterator[str]:
    """Make the call for every key, several at a time; each key as soon as its call has ended."""
    pool = ThreadPoolExecutor(_SENDERS)
    try:
        futures = {pool.submit(call, key): key for key in keys}
        for future in as_completed(futures):
            check()
            future.result()
            yield futures[future]
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


def delete(s3: Any, bucket: str, keys: Iterable[str]) -> None:
    """Delete these objects; one that is not there is no error. Raises StepFailed for those that S3 does not delete."""
    for some in batched(keys, 1000):  # the most that one call takes
        objects = [{"Key": key} for key in some]
        answer = s3.delete_objects(Bucket=bucket, Delete={"Objects": objects, "Quiet": True})
        if failed := answer.get("Errors"):
            first = failed[0]
            raise StepFailed(
                f"{len(failed)} objects of the bucket {bucket} cannot be deleted, such as {first['Key']}: "
                f"{first['Code']}: {first.get('Message', '')}",
                "Does a policy forbid s3:DeleteObject? Then run this again.",
            )

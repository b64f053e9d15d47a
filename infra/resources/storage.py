"""The bucket, and files kept in step with it: an unchanged file is never sent again.

A manifest object beside the data holds each file's SHA-256. A file is left alone when the manifest knows its digest
and S3 lists it with its size. Before anything is sent the manifest forgets what is about to change, so that a run that
is cut short is made good by the next.
"""

import json
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from itertools import batched
from pathlib import Path
from typing import Any

from botocore.exceptions import ClientError

from infra.errors import StepFailed
from infra.plan import Plan
from infra.resources import CREATED, UNCHANGED, UPDATED, Change, error_code, is_missing

_SENDERS = 8
_BLOCK_PUBLIC = {
    "BlockPublicAcls": True,
    "IgnorePublicAcls": True,
    "BlockPublicPolicy": True,
    "RestrictPublicBuckets": True,
}


@dataclass(frozen=True)
class File:
    """A file to keep in S3; `sha256` in hex."""

    path: Path
    sha256: str
    content_type: str = "application/octet-stream"


def ensure_bucket(s3: Any, plan: Plan) -> Change:
    """The bucket, in the plan's region, closed to the public. StepFailed when another account has the name."""
    change: Change = UNCHANGED
    try:
        s3.head_bucket(Bucket=plan.bucket)
    except ClientError as error:
        if error_code(error) == "403":
            raise StepFailed(
                f"The bucket {plan.bucket} belongs to someone else.", "Choose another --project."
            ) from None
        if not is_missing(error):
            raise
        place = {} if plan.settings.region == "us-east-1" else {"LocationConstraint": plan.settings.region}
        s3.create_bucket(Bucket=plan.bucket, **({"CreateBucketConfiguration": place} if place else {}))
        change = CREATED
    if _public_access_block(s3, plan.bucket) != _BLOCK_PUBLIC:
        s3.put_public_access_block(Bucket=plan.bucket, PublicAccessBlockConfiguration=_BLOCK_PUBLIC)
        change = CREATED if change == CREATED else UPDATED
    return change


def destroy_bucket(s3: Any, plan: Plan) -> bool:
    """Delete the bucket and all in it; whether there was one."""
    try:
        _delete(s3, plan.bucket, list(_sizes(s3, plan.bucket, "")))
        s3.delete_bucket(Bucket=plan.bucket)
    except ClientError as error:
        if not is_missing(error):
            raise
        return False
    return True


def sync(
    s3: Any, bucket: str, prefix: str, files: Mapping[str, File], sent: Callable[[int], None]
) -> tuple[Change, int]:
    """Make `s3://<bucket>/<prefix>/` hold just `files` (by relative key), in parallel. `sent` is called with 1 for each
    file that is in place. Returns the change and how many were sent."""
    manifest_key = f"manifests/{prefix}.json"
    known, sizes = _manifest(s3, bucket, manifest_key), _sizes(s3, bucket, f"{prefix}/")
    same = {
        key
        for key, file in files.items()
        if known.get(key) == file.sha256 and sizes.get(f"{prefix}/{key}") == file.path.stat().st_size
    }
    sent(len(same))
    todo = {key: file for key, file in files.items() if key not in same}
    gone = sizes.keys() - {f"{prefix}/{key}" for key in files}
    if not todo and not gone:
        return UNCHANGED, 0
    if known:
        _put_manifest(s3, bucket, manifest_key, {key: known[key] for key in same})
    _send(s3, bucket, prefix, todo, sent)
    _delete(s3, bucket, sorted(gone))
    _put_manifest(s3, bucket, manifest_key, {key: file.sha256 for key, file in files.items()})
    return UPDATED if known else CREATED, len(todo)


def _send(s3: Any, bucket: str, prefix: str, files: Mapping[str, File], sent: Callable[[int], None]) -> None:
    def put(key: str, file: File) -> None:
        body = file.path.read_bytes() if file.path.stat().st_size < 8 << 20 else None
        if body is None:
            s3.upload_file(str(file.path), bucket, f"{prefix}/{key}", ExtraArgs={"ContentType": file.content_type})
        else:
            s3.put_object(Bucket=bucket, Key=f"{prefix}/{key}", Body=body, ContentType=file.content_type)

    pool = ThreadPoolExecutor(_SENDERS)
    try:
        for future in as_completed([pool.submit(put, key, file) for key, file in files.items()]):
            future.result()
            sent(1)
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


def _sizes(s3: Any, bucket: str, prefix: str) -> dict[str, int]:
    pages = s3.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix)
    return {item["Key"]: int(item["Size"]) for page in pages for item in page.get("Contents", [])}


def _delete(s3: Any, bucket: str, keys: Iterable[str]) -> None:
    for some in batched(keys, 1000):  # the most that one call takes
        s3.delete_objects(Bucket=bucket, Delete={"Objects": [{"Key": key} for key in some], "Quiet": True})


def _manifest(s3: Any, bucket: str, key: str) -> dict[str, str]:
    try:
        found = json.loads(s3.get_object(Bucket=bucket, Key=key)["Body"].read())
    except ClientError as error:
        if not is_missing(error):
            raise
        return {}
    return {str(name): str(digest) for name, digest in found.items()}


def _put_manifest(s3: Any, bucket: str, key: str, digests: Mapping[str, str]) -> None:
    body = json.dumps(digests, indent=0, sort_keys=True).encode()
    s3.put_object(Bucket=bucket, Key=key, Body=body, ContentType="application/json")


def _public_access_block(s3: Any, bucket: str) -> dict[str, bool]:
    try:
        return dict(s3.get_public_access_block(Bucket=bucket)["PublicAccessBlockConfiguration"])
    except ClientError as error:
        if not is_missing(error):
            raise
        return {}

"""S3 as a job or an endpoint needs it, through the gateway."""

import shutil
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import Any

from boto3.exceptions import Boto3Error
from boto3.s3.transfer import TransferConfig
from botocore.exceptions import BotoCoreError, ClientError

from stagemaker.aws.clients import Clients
from stagemaker.core.disk import explain
from stagemaker.core.errors import validation_error
from stagemaker.core.refs import Scope

PARALLEL_DOWNLOADS = 4  # LocalStack answers from one process: more only wait for each other
_TRANSFER = TransferConfig(multipart_threshold=64 << 20, multipart_chunksize=32 << 20, max_concurrency=2)


class S3:
    """Objects and buckets of the caller's account. Thread-safe. All methods raise ApiError with one clear sentence."""

    def __init__(self, clients: Clients) -> None:
        self._clients = clients

    def list_prefix(self, scope: Scope, uri: str) -> list[tuple[str, int]]:
        """Key and size in bytes of every object under S3's plain prefix; "folders" made by a console are left out."""
        return list(self._objects(scope, uri))

    def prefix_has_objects(self, scope: Scope, uri: str) -> bool:
        """Whether there is anything under the prefix, without listing it all."""
        return next(self._objects(scope, uri), None) is not None

    def download_prefix(
        self, scope: Scope, uri: str, folder: Path, *, cancelled: Callable[[], bool] = lambda: False
    ) -> int:
        """S3Prefix: every object under `uri` into `folder`, keeping the paths below it; how many there are.

        A prefix that ends inside a name (s3://b/da for da-1/x) keeps the paths below the folder that it is in. A key
        that is no clean relative path (`..`, `//`) is refused: it would be written elsewhere. Once `cancelled`, the
        rest is left out.
        """
        bucket, prefix = split_uri(uri)
        names = {key: path_below(prefix, key) for key, _ in self.list_prefix(scope, uri)}
        s3 = self._clients("s3", scope)

        def fetch(key: str) -> None:
            if cancelled():
                return
            path = folder / names[key]
            path.parent.mkdir(parents=True, exist_ok=True)
            body = s3.get_object(Bucket=bucket, Key=key)["Body"]
            with body, path.open("xb") as file:
                shutil.copyfileobj(body, file, 1 << 20)

        with (
            _translate_errors(f"S3 key: {uri} could not be downloaded"),
            ThreadPoolExecutor(PARALLEL_DOWNLOADS) as pool,
        ):
            folder.mkdir(parents=True, exist_ok=True)
            for _ in pool.map(fetch, names):
                pass
        return len(names)

    def download_file(self, scope: Scope, uri: str, path: Path) -> None:
        """One object; the file appears whole or not at all."""
        bucket, key = split_uri(uri)
        with _translate_errors(f"Could not download {uri}"):
            self._clients("s3", scope).download_file(bucket, key, str(path), Config=_TRANSFER)

    def object_exists(self, scope: Scope, uri: str) -> bool:
        """Whether there is an object of exactly this key."""
        bucket, key = split_uri(uri)
        return self._head(scope, "head_object", Bucket=bucket, Key=key) is not None

    def bucket_region(self, scope: Scope, uri: str) -> str | None:
        """Where the bucket of `uri` is, or None when there is none."""
        head = self._head(scope, "head_bucket", Bucket=split_uri(uri)[0])
        return None if head is None else str(head.get("BucketRegion", scope.region))

    def upload_file(self, scope: Scope, path: Path, uri: str) -> None:
        """One file; the object appears whole or not at all."""
        bucket, key = split_uri(uri)
        with _translate_errors(f"Could not upload to {uri}"):
            self._clients("s3", scope).upload_file(str(path), bucket, key, Config=_TRANSFER)

    def _objects(self, scope: Scope, uri: str) -> Iterator[tuple[str, int]]:
        bucket, prefix = split_uri(uri)
        pages = self._clients("s3", scope).get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix)
        with _translate_errors(f"Could not list {uri}"):
            for page in pages:
                yield from ((o["Key"], o["Size"]) for o in page.get("Contents", []) if not o["Key"].endswith("/"))

    def _head(self, scope: Scope, operation: str, **parameters: str) -> dict[str, Any] | None:
        with _translate_errors(f"Could not look up {'/'.join(parameters.values())} in S3"):
            try:
                head: dict[str, Any] = getattr(self._clients("s3", scope), operation)(**parameters)
            except ClientError as error:
                if error.response["ResponseMetadata"]["HTTPStatusCode"] == 404:
                    return None
                raise
            return head


@contextmanager
def _translate_errors(sentence: str) -> Iterator[None]:
    """Turn what S3 or the disk answers into ValidationException with one sentence."""
    try:
        yield
    except ClientError as error:
        told = error.response.get("Error", {})
        raise validation_error(f"{sentence}: {told.get('Message') or told.get('Code')}") from error
    except (BotoCoreError, Boto3Error, OSError) as error:
        raise validation_error(f"{sentence}: {explain(error)}") from error


def split_uri(uri: str) -> tuple[str, str]:
    """Bucket and key of `s3://bucket/key`; ValidationException for any other form."""
    scheme, _, rest = uri.partition("://")
    bucket, _, key = rest.partition("/")
    if scheme != "s3" or not bucket:
        raise validation_error(f"'{uri}' is not an S3 URI of the form s3://bucket/key.")
    return bucket, key


def path_below(prefix: str, key: str) -> str:
    """The path of `key` below `prefix`, by the rules of `download_prefix`."""
    inside = prefix if key.startswith(f"{prefix.rstrip('/')}/") else prefix[: prefix.rfind("/") + 1]
    name = key[len(inside) :].removeprefix("/")
    parts = name.split("/")
    if "\0" in name or any(part in ("", ".", "..") for part in parts) or PurePosixPath(name).is_absolute():
        raise validation_error(f"The S3 key '{key}' cannot be written as a file: rename the object.")
    return name

"""S3 as a job or an endpoint needs it, through the gateway."""

import threading
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from pathlib import Path, PurePosixPath
from typing import Any

from boto3.exceptions import Boto3Error
from boto3.s3.transfer import TransferConfig
from botocore.exceptions import BotoCoreError, ClientError

from stagemaker.aws.clients import Clients
from stagemaker.aws.objects import Objects
from stagemaker.core.disk import explain, is_full
from stagemaker.core.errors import ApiError, access_denied, validation_error
from stagemaker.core.refs import Scope
from stagemaker.core.text import printable

NAME_BYTES = 255  # of a file or a folder, on the file systems of Linux
PARALLEL_DOWNLOADS = 4  # LocalStack answers from one process: more only wait for each other
CHUNK_BYTES = 1 << 20
_DENIED = ("AccessDenied", "403")  # the answer to HEAD has no code
_TRANSFER = TransferConfig(multipart_threshold=64 << 20, multipart_chunksize=32 << 20, max_concurrency=2)


class S3:
    """Objects and buckets of the caller's account. Thread-safe. All methods raise ApiError with one clear sentence, of
    the code AccessDenied where S3 does not allow it."""

    def __init__(self, clients: Clients) -> None:
        self._clients, self._of_s3 = clients, Objects(clients)

    def list_prefix(self, scope: Scope, uri: str) -> list[tuple[str, int]]:
        """Key and size in bytes of every object under S3's plain prefix; "folders" made by a console are left out."""
        return list(self._objects(scope, uri))

    def prefix_has_objects(self, scope: Scope, uri: str) -> bool:
        """Whether there is anything under the prefix, without listing it all."""
        return next(self._objects(scope, uri), None) is not None

    def download_prefix(
        self, scope: Scope, uri: str, folder: Path, *, cancelled: Callable[[], bool] = lambda: False
    ) -> int:
        """S3Prefix: every object under `uri` into `folder`, as `download_keys` does it; how many there are."""
        return len(self.download_keys(scope, uri, [key for key, _ in self.list_prefix(scope, uri)], folder, cancelled))

    def download_keys(
        self, scope: Scope, uri: str, keys: Sequence[str], folder: Path, cancelled: Callable[[], bool] = lambda: False
    ) -> list[str]:
        """The objects `keys` of the bucket of `uri` into `folder`, keeping the paths below the prefix of `uri`; these
        paths, in the order of `keys`. The first error ends it all.

        A prefix that ends inside a name (s3://b/da for da-1/x) keeps the paths below the folder that it is in. Keys
        that cannot be files beside each other are refused before anything is written (`paths_below`). Once `cancelled`,
        the rest is left out, and a file may be incomplete.
        """
        bucket, prefix = split_uri(uri)
        names = paths_below(prefix, keys)

        def fetch(key: str) -> None:
            path = folder / names[key]
            try:
                path.parent.mkdir(parents=True, exist_ok=True)
                _, body = self._of_s3.open(scope, bucket, key)
                with closing(body), path.open("xb") as file:
                    while not cancelled() and (chunk := body.read(CHUNK_BYTES)):
                        file.write(chunk)
            except (ClientError, BotoCoreError, OSError) as error:
                if is_full(error):  # which is not the object's fault
                    raise
                uri = f"s3://{bucket}/{printable(key)}"
                if _is_denied(error):
                    sentence = f"Data download failed:Unable to download object {uri}"
                    raise access_denied(f"{sentence} (AccessDenied: {_told(error)})") from error
                raise validation_error(f"S3 key: {uri} could not be downloaded: {_told(error)}") from error

        with _translate_errors(f"S3 key: {uri} could not be downloaded"):
            folder.mkdir(parents=True, exist_ok=True)
            _in_parallel(fetch, names, cancelled)
        return [names[key] for key in keys]

    def open_object(self, scope: Scope, uri: str) -> tuple[int, Generator[bytes]]:
        """The size of one object in bytes, and what it holds, in pieces of at most CHUNK_BYTES. The generator raises
        ApiError too, and can be closed early."""
        bucket, key = split_uri(uri)
        sentence = f"S3 key: s3://{bucket}/{printable(key)} could not be read"
        with _translate_errors(sentence):
            size, body = self._of_s3.open(scope, bucket, key)

        def chunks() -> Generator[bytes]:
            with closing(body), _translate_errors(sentence):
                while chunk := body.read(CHUNK_BYTES):
                    yield chunk

        return size, chunks()

    def download_file(
        self, scope: Scope, uri: str, path: Path, *, cancelled: Callable[[], bool] = lambda: False
    ) -> None:
        """One object; the file appears whole or not at all, which is so once `cancelled`."""
        bucket, key = split_uri(uri)
        part = path.with_name(f"{path.name}.part")
        with _translate_errors(f"Could not download {uri}"):
            try:
                _, body = self._of_s3.open(scope, bucket, key)
                with closing(body), part.open("xb") as file:
                    while not cancelled() and (chunk := body.read(CHUNK_BYTES)):
                        file.write(chunk)
                if not cancelled():
                    part.replace(path)
            finally:
                part.unlink(missing_ok=True)

    def object_exists(self, scope: Scope, uri: str) -> bool:
        """Whether there is an object of exactly this key."""
        bucket, key = split_uri(uri)
        return self._head(scope, "head_object", Bucket=bucket, Key=key) is not None

    def bucket_region(self, scope: Scope, uri: str) -> str | None:
        """Where the bucket of `uri` is, or None when there is none."""
        head = self._head(scope, "head_bucket", Bucket=split_uri(uri)[0])
        return None if head is None else str(head.get("BucketRegion", scope.region))

    def upload_file(self, scope: Scope, path: Path, uri: str, content_type: str | None = None) -> None:
        """One file; the object appears whole or not at all."""
        bucket, key = split_uri(uri)
        more = {"ContentType": content_type} if content_type else {}
        with _translate_errors(f"Could not upload to {uri}"):
            self._clients("s3", scope).upload_file(str(path), bucket, key, ExtraArgs=more, Config=_TRANSFER)

    def put_object(self, scope: Scope, uri: str, body: bytes) -> None:
        """One object of these bytes; it appears whole or not at all."""
        bucket, key = split_uri(uri)
        with _translate_errors(f"Could not write {uri}"):
            self._clients("s3", scope).put_object(Bucket=bucket, Key=key, Body=body)

    def delete_object(self, scope: Scope, uri: str) -> None:
        """One object; nothing when there is none."""
        bucket, key = split_uri(uri)
        with _translate_errors(f"Could not delete {uri}"):
            self._clients("s3", scope).delete_object(Bucket=bucket, Key=key)

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


def _in_parallel(work: Callable[[str], None], items: Iterable[str], cancelled: Callable[[], bool]) -> None:
    """Do `work` for each item, in PARALLEL_DOWNLOADS threads. Its first error ends all, and is raised."""
    todo, lock, failed = iter(items), threading.Lock(), threading.Event()

    def run() -> None:
        while not (failed.is_set() or cancelled()):
            with lock:
                item = next(todo, None)
            if item is None:
                return
            try:
                work(item)
            except BaseException:
                failed.set()
                raise

    with ThreadPoolExecutor(PARALLEL_DOWNLOADS) as pool:
        for thread in [pool.submit(run) for _ in range(PARALLEL_DOWNLOADS)]:
            thread.result()


@contextmanager
def _translate_errors(sentence: str) -> Iterator[None]:
    """Turn what S3 or the disk answers into ValidationException with one sentence, or into AccessDenied."""
    try:
        yield
    except (ClientError, BotoCoreError, Boto3Error, OSError) as error:
        refusal = access_denied if _is_denied(error) else validation_error
        raise refusal(f"{sentence}: {_told(error)}") from error


def _is_denied(error: BaseException | None) -> bool:
    if isinstance(error, Boto3Error):
        return _is_denied(error.__context__)
    return isinstance(error, ClientError) and error.response["Error"]["Code"] in _DENIED


def _told(error: Exception) -> str:
    """In S3's own words, or the system's; boto3's name files of ours."""
    if isinstance(error, Boto3Error) and isinstance(error.__context__, Exception):
        return _told(error.__context__)
    if not isinstance(error, ClientError):
        return explain(error)
    answer = error.response.get("Error", {})
    if answer.get("Code") == "InvalidObjectState":
        kind = f" (storage class {answer['StorageClass']})" if "StorageClass" in answer else ""
        return f"the object is archived{kind}: restore it (RestoreObject), or copy it to another storage class"
    return str(answer.get("Message") or answer.get("Code"))


def split_uri(uri: str) -> tuple[str, str]:
    """Bucket and key of `s3://bucket/key`; ValidationException for any other form."""
    scheme, _, rest = uri.partition("://")
    bucket, _, key = rest.partition("/")
    if scheme != "s3" or not bucket:
        raise validation_error(f"'{uri}' is not an S3 URI of the form s3://bucket/key.")
    return bucket, key


def paths_below(prefix: str, keys: Iterable[str]) -> dict[str, str]:
    """The path of each of `keys` below `prefix`. ValidationException, which names the objects, when two would be one
    file, or one a file where the other needs a folder (AWS calls such names ambiguous), and as `path_below`."""
    paths = {key: path_below(prefix, key) for key in keys}
    files: dict[str, str] = {}
    for key, path in paths.items():
        if path in files:
            raise _cannot_both(files[path], key, "would be the same file")
        files[path] = key
    for key, path in paths.items():
        for folder in PurePosixPath(path).parents:
            if str(folder) in files:
                raise _cannot_both(files[str(folder)], key, "would be a file and a folder of the same name")
    return paths


def path_below(prefix: str, key: str) -> str:
    """The path of `key` below `prefix`, by the rules of `download_keys`. ValidationException for a key that is no
    clean relative path (`..`, `//`): it would be written elsewhere, and for names that no file can have."""
    inside = prefix if key.startswith(f"{prefix.rstrip('/')}/") else prefix[: prefix.rfind("/") + 1]
    name = key[len(inside) :].removeprefix("/")
    parts = name.split("/")
    if "\0" in name or any(part in ("", ".", "..") for part in parts) or PurePosixPath(name).is_absolute():
        raise validation_error(f"The S3 key '{printable(key)}' cannot be written as a file: rename the object.")
    if (size := max(len(part.encode()) for part in parts)) > NAME_BYTES:
        raise validation_error(
            f"The S3 key '{printable(key)}' cannot be written as a file: a name in it has {size} bytes, and a file's "
            f"may have {NAME_BYTES}: rename the object."
        )
    return name


def _cannot_both(one: str, other: str, why: str) -> ApiError:
    return validation_error(
        f"The S3 keys '{printable(one)}' and '{printable(other)}' cannot both be written: they {why}. "
        "Rename one of them."
    )

"""Inputs of a job in Pipe mode: what one host reads of a source, epoch by epoch, straight from S3.

Little of it is in memory at any time, however large the objects, the manifest or a line of it are.
"""

import tempfile
import zlib
from array import array
from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Protocol

from stagemaker.core.errors import validation_error
from stagemaker.core.refs import Scope
from stagemaker.core.text import printable
from stagemaker.jobs.checks import JobAccount
from stagemaker.jobs.inputs import bad_manifest, listed
from stagemaker.jobs.manifests import BadManifest, Reference, read_line
from stagemaker.jobs.recordio import header, padding
from stagemaker.jobs.sources import AUGMENTED_MANIFEST, Source

LINE_BYTES = 1 << 20  # (ours) of a line of an augmented manifest
CHUNK_BYTES = 1 << 20
_GZIP = 31  # zlib's word for it


class Items(Protocol):
    """What a source consists of, by number: objects, or lines of a manifest."""

    def __len__(self) -> int: ...
    def parts(self, position: int) -> Iterable[Reference | bytes]:
        """Of one item: objects of S3, and text."""


class Stream:
    """What a host reads. For one thread at a time."""

    def __init__(self, account: JobAccount, scope: Scope, source: Source, items: Items, host: int, hosts: int) -> None:
        self._account, self._scope, self._source, self._items = account, scope, source, items
        self._host, self._hosts = host, hosts

    def epoch(self, number: int) -> Generator[bytes]:
        """All of it in the order of that epoch, the first of which is 0, in pieces. Raises ApiError, or OSError when
        the disk is at fault."""
        for position in self._source.positions(len(self._items), self._host, self._hosts, number):
            for part in self._items.parts(position):
                if isinstance(part, bytes):
                    yield from self._framed(len(part), [part], "A text of the manifest")
                else:
                    yield from self._object(part.uri)

    def _object(self, uri: str) -> Iterator[bytes]:
        size, chunks = self._account.open_object(self._scope, uri)
        name = f"S3 key: {printable(uri)}"
        with closing(chunks):
            if not self._source.gzip:
                yield from self._framed(size, chunks, name)
            elif not self._source.record_io:
                yield from _unpacked(chunks, name)
            else:
                with tempfile.SpooledTemporaryFile(CHUNK_BYTES) as file:  # a record begins with its size
                    size = sum(file.write(chunk) for chunk in _unpacked(chunks, name))
                    file.seek(0)
                    yield from self._framed(size, iter(lambda: file.read(CHUNK_BYTES), b""), name)

    def _framed(self, size: int, chunks: Iterable[bytes], name: str) -> Iterator[bytes]:
        if not self._source.record_io:
            yield from chunks
            return
        try:
            yield header(size)
        except ValueError as error:
            raise validation_error(f"{name} cannot be streamed: {error}") from error
        yield from chunks
        yield padding(size)


def items_of(
    account: JobAccount, scope: Scope, source: Source, scratch: Path, cancelled: Callable[[], bool]
) -> Items | None:
    """Look up what there is to stream, and read a manifest to its end; None once `cancelled`. `scratch` is a file that
    is needed as long as the items are. Raises ApiError, or OSError when the disk is at fault."""
    if source.data_type != AUGMENTED_MANIFEST:
        found = listed(account, scope, source)
        bucket = found.prefix.split("/")[2]
        return _Objects([f"s3://{bucket}/{key}" for key in found.keys])
    with scratch.open("wb") as file:
        _, chunks = account.open_object(scope, source.uri)
        with closing(chunks):
            for chunk in chunks:
                if cancelled():
                    return None
                file.write(chunk)
    return _Lines(source, scratch, cancelled)


class _Objects:
    def __init__(self, uris: list[str]) -> None:
        self._uris = uris

    def __len__(self) -> int:
        return len(self._uris)

    def parts(self, position: int) -> Iterable[Reference | bytes]:
        """The object."""
        return (Reference(self._uris[position]),)


class _Lines:
    """The lines of an augmented manifest, each read when it is asked for, and once before."""

    def __init__(self, source: Source, path: Path, cancelled: Callable[[], bool]) -> None:
        self._source, self._path = source, path
        self._starts = array("Q")
        with path.open("rb") as file:
            while not cancelled() and (line := file.readline(LINE_BYTES)):
                if line.strip():
                    self._starts.append(file.tell() - len(line))
                    self._read(line, len(self._starts))
        if not self._starts:
            raise bad_manifest(source.uri, "it is empty")

    def __len__(self) -> int:
        return len(self._starts)

    def parts(self, position: int) -> Iterable[Reference | bytes]:
        """The attributes of the line."""
        with self._path.open("rb") as file:
            file.seek(self._starts[position])
            return self._read(file.readline(LINE_BYTES), position + 1)

    def _read(self, line: bytes, number: int) -> list[Reference | bytes]:
        if len(line) == LINE_BYTES and not line.endswith(b"\n"):
            raise bad_manifest(self._source.uri, f"line {number}: it has more than {LINE_BYTES:,} bytes")
        try:
            return list(read_line(line, self._source.attributes))
        except BadManifest as error:
            raise bad_manifest(self._source.uri, f"line {number}: {error}") from error


def _unpacked(chunks: Iterable[bytes], name: str) -> Iterator[bytes]:
    """What one gzip file holds, or several of them one after another."""
    inflate = zlib.decompressobj(_GZIP)
    try:
        for chunk in chunks:
            rest = chunk
            while rest:
                if inflate.eof:
                    inflate = zlib.decompressobj(_GZIP)
                yield inflate.decompress(rest, CHUNK_BYTES)
                rest = inflate.unconsumed_tail or inflate.unused_data
    except zlib.error as error:
        raise validation_error(f"{name} is no gzip file: {error}") from error
    if not inflate.eof:
        raise validation_error(f"{name} is no whole gzip file")

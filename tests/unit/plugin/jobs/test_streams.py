"""What a host reads in Pipe mode."""

import gzip
import json
import struct
import tracemalloc
from collections.abc import Generator, Mapping
from pathlib import Path
from typing import Any

import pytest

from stagemaker.core.errors import ApiError
from stagemaker.core.refs import Scope
from stagemaker.jobs.sources import Source
from stagemaker.jobs.streams import CHUNK_BYTES, LINE_BYTES, Stream, items_of
from tests.unit.plugin.fakes import SCOPE, FakeAws

OBJECTS = {"s3://b/p/1": b"one", "s3://b/p/2": b"", "s3://b/p/3": b"three"}


def streamed(
    folder: Path,
    source: Source,
    objects: Mapping[str, bytes] = OBJECTS,
    *,
    epoch: int = 0,
    host: int = 0,
    hosts: int = 1,
) -> bytes:
    account = FakeAws(objects)
    items = items_of(account, SCOPE, source, folder / "manifest", lambda: False)
    assert items is not None
    return b"".join(Stream(account, SCOPE, source, items, host, hosts).epoch(epoch))


def records(data: bytes) -> list[bytes]:
    """As the sagemaker SDK reads them."""
    found = []
    while data:
        magic, size = struct.unpack("<II", data[:8])
        assert magic == 0xCED7230A
        found.append(data[8 : 8 + size])
        data = data[8 + (size + 3) // 4 * 4 :]
    return found


def refusal(folder: Path, source: Source, objects: Mapping[str, bytes]) -> str:
    with pytest.raises(ApiError) as caught:
        streamed(folder, source, objects)
    assert caught.value.code == "ValidationException"
    return caught.value.message


def lines(*values: Any) -> bytes:
    return "".join(f"{json.dumps(value)}\n" for value in values).encode()


def test_objects_follow_each_other(tmp_path: Path) -> None:
    assert streamed(tmp_path, Source("s3://b/p/")) == b"onethree"
    assert streamed(tmp_path, Source("s3://b/p/", sharded=True), host=0, hosts=2) == b"onethree"
    assert streamed(tmp_path, Source("s3://b/p/", sharded=True), host=1, hosts=2) == b""


def test_each_object_is_a_record(tmp_path: Path) -> None:
    assert records(streamed(tmp_path, Source("s3://b/p/", record_io=True))) == [b"one", b"", b"three"]


def test_an_object_that_a_manifest_lists_twice_is_there_twice(tmp_path: Path) -> None:
    text = json.dumps([{"prefix": "s3://b/p/"}, "3", "1", "3"]).encode()
    source = Source("s3://b/manifest", data_type="ManifestFile")
    assert streamed(tmp_path, source, {**OBJECTS, "s3://b/manifest": text}) == b"threeonethree"


def test_gzip_is_unpacked(tmp_path: Path) -> None:
    large = bytes(5 * CHUNK_BYTES)
    packed = {"s3://b/p/1": gzip.compress(b"one") + gzip.compress(b" two"), "s3://b/p/2": gzip.compress(large)}
    assert streamed(tmp_path, Source("s3://b/p/", gzip=True), packed) == b"one two" + large
    assert records(streamed(tmp_path, Source("s3://b/p/", gzip=True, record_io=True), packed)) == [b"one two", large]


@pytest.mark.parametrize("record_io", [False, True])
@pytest.mark.parametrize(
    ("data", "why"), [(b"plain", "is no gzip file"), (gzip.compress(b"x" * 99, mtime=0)[:-9], "is no whole")]
)
def test_what_is_no_gzip_is_said(tmp_path: Path, data: bytes, why: str, record_io: bool) -> None:
    sentence = refusal(tmp_path, Source("s3://b/p/", gzip=True, record_io=record_io), {"s3://b/p/1": data})
    assert sentence.startswith(f"S3 key: s3://b/p/1 {why}")


def test_a_gzip_bomb_takes_little_memory(tmp_path: Path) -> None:
    bomb = gzip.compress(bytes(200 << 20))
    account, source = FakeAws({"s3://b/p/1": bomb}), Source("s3://b/p/", gzip=True)
    items = items_of(account, SCOPE, source, tmp_path / "manifest", lambda: False)
    assert items is not None
    tracemalloc.start()
    try:
        assert sum(len(chunk) for chunk in Stream(account, SCOPE, source, items, 0, 1).epoch(0)) == 200 << 20
        assert tracemalloc.get_traced_memory()[1] < 8 * CHUNK_BYTES
    finally:
        tracemalloc.stop()


def test_an_augmented_manifest_gives_objects_and_texts(tmp_path: Path) -> None:
    text = lines({"ref": 0, "source-ref": "s3://b/p/1", "label": 7}, {"source-ref": "s3://b/p/3", "label": "cat"})
    objects = {**OBJECTS, "s3://b/m": b"\n" + text + b"  \n"}
    source = Source("s3://b/m", data_type="AugmentedManifestFile", attributes=("source-ref", "label"), record_io=True)
    assert records(streamed(tmp_path, source, objects)) == [b"one", b"7", b"three", b"cat"]
    plain = Source("s3://b/m", data_type="AugmentedManifestFile", attributes=("label", "source-ref"))
    assert streamed(tmp_path, plain, objects) == b"7onecatthree"


def test_the_lines_of_a_manifest_are_shuffled_and_sharded(tmp_path: Path) -> None:
    objects = {"s3://b/m": lines(*({"n": number} for number in range(40)))}
    source = Source("s3://b/m", True, "AugmentedManifestFile", ("n",), seed=3, record_io=True)
    epochs = [
        [records(streamed(tmp_path, source, objects, epoch=epoch, host=host, hosts=2)) for host in range(2)]
        for epoch in range(2)
    ]
    for first, second in epochs:
        assert {int(each) for each in first} | {int(each) for each in second} == set(range(40))
        assert len(first) == len(second) == 20
    assert set(epochs[0][0]) != set(epochs[1][0])


@pytest.mark.parametrize(
    ("data_type", "text", "why"),
    [
        ("ManifestFile", b"{}", "it is no list that begins with a prefix"),
        ("AugmentedManifestFile", b"\n", "it is empty"),
        ("AugmentedManifestFile", lines({"n": 1}, {"m": 1}), "line 2: it has no attribute 'n'"),
        ("AugmentedManifestFile", b"\n\n" + lines({"n": 1}) + b"{", "line 2: it is no JSON"),
        ("AugmentedManifestFile", lines({"n": "x" * LINE_BYTES}), "line 1: it has more than 1,048,576 bytes"),
    ],
)
def test_a_bad_manifest_is_said_before_anything_is_read(tmp_path: Path, data_type: str, text: bytes, why: str) -> None:
    attributes = ("n",) if data_type == "AugmentedManifestFile" else ()
    source = Source("s3://b/m", data_type=data_type, attributes=attributes)
    sentence = refusal(tmp_path, source, {"s3://b/m": text})
    assert sentence.startswith("Data download failed: the manifest s3://b/m cannot be used: " + why)


def test_a_missing_object_is_named_when_its_turn_comes(tmp_path: Path) -> None:
    objects = {"s3://b/p/1": b"one", "s3://b/m": json.dumps([{"prefix": "s3://b/p/"}, "1", "none"]).encode()}
    account, source = FakeAws(objects), Source("s3://b/m", data_type="ManifestFile")
    items = items_of(account, SCOPE, source, tmp_path / "manifest", lambda: False)
    assert items is not None
    chunks = Stream(account, SCOPE, source, items, 0, 1).epoch(0)
    assert next(chunks) + next(chunks) == b"one"
    with pytest.raises(ApiError, match="s3://b/p/none could not be read"):
        next(chunks)


def test_a_prefix_without_objects_is_refused(tmp_path: Path) -> None:
    assert refusal(tmp_path, Source("s3://b/none"), OBJECTS).endswith("S3 key: s3://b/none matched no files on s3")


def test_an_object_that_is_too_large_for_a_record_is_refused(tmp_path: Path) -> None:
    class Large(FakeAws):
        def open_object(self, scope: Scope, uri: str) -> tuple[int, Generator[bytes]]:
            return 1 << 29, super().open_object(scope, uri)[1]

    source = Source("s3://b/p/", record_io=True)
    items = items_of(FakeAws(OBJECTS), SCOPE, source, tmp_path / "manifest", lambda: False)
    assert items is not None
    with pytest.raises(ApiError, match="S3 key: s3://b/p/1 cannot be streamed: it has 536,870,912 bytes"):
        next(Stream(Large(OBJECTS), SCOPE, source, items, 0, 1).epoch(0))


def test_once_cancelled_a_manifest_is_left(tmp_path: Path) -> None:
    source = Source("s3://b/m", data_type="AugmentedManifestFile", attributes=("n",))
    assert items_of(FakeAws({"s3://b/m": lines({"n": 1})}), SCOPE, source, tmp_path / "m", lambda: True) is None

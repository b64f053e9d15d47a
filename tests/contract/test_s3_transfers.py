"""Uploads to LocalStack's S3 that break off: the former object stays, and nothing of the new one holds disk."""

import socket
import subprocess
import uuid
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from botocore.exceptions import ClientError

from tests.contract.gateway import REGION, Gateway, make_bucket, until

MIB = 1 << 20
SIGNED = (
    f"Authorization: AWS4-HMAC-SHA256 Credential=000000000000/20260101/{REGION}/s3/aws4_request, "
    "SignedHeaders=host, Signature=0\r\nx-amz-date: 20260101T000000Z\r\n"
)
CHUNKED = (
    "Content-Encoding: aws-chunked\r\nx-amz-content-sha256: STREAMING-UNSIGNED-PAYLOAD-TRAILER\r\n"
    f"x-amz-decoded-content-length: {8 * MIB}\r\n"
)


def held_bytes(gateway: Gateway) -> int:
    """The size of all files that LocalStack has open and that have no name."""
    found = 0
    for descriptor in Path(f"/proc/{gateway.pid}/fd").iterdir():
        with suppress(FileNotFoundError):
            if descriptor.readlink().name.endswith(" (deleted)"):
                found += descriptor.stat().st_size
    return found


def put(gateway: Gateway, path: str, headers: str, body: bytes) -> socket.socket:
    """Send a request to its end; the connection."""
    address = urlsplit(gateway.url)
    connection = socket.create_connection((address.hostname or "", address.port or 0), 10)
    head = f"PUT {path} HTTP/1.1\r\nHost: {address.netloc}\r\n{SIGNED}{headers}Content-Length: {len(body)}\r\n\r\n"
    connection.sendall(head.encode() + body)
    return connection


def content(s3: Any, bucket: str, key: str) -> bytes:
    body: bytes = s3.get_object(Bucket=bucket, Key=key)["Body"].read()
    return body


def test_a_write_that_fails_in_the_middle_changes_nothing(gateway: Gateway) -> None:
    make_bucket(gateway, "broken", {"former": b"former" * MIB})
    before, broken = held_bytes(gateway), b"%x\r\n%b\r\nno chunk\r\n" % (4 * MIB, bytes(4 * MIB))
    for key in ("former", "new"):
        with put(gateway, f"/broken/{key}", CHUNKED, broken) as connection:
            assert connection.recv(1000).startswith(b"HTTP/1.1 500 ")
    s3 = gateway.client("s3")
    assert content(s3, "broken", "former") == b"former" * MIB
    assert [found["Key"] for found in s3.list_objects_v2(Bucket="broken")["Contents"]] == ["former"]
    until(lambda: held_bytes(gateway), lambda held: held <= before)


def test_clients_that_go_in_the_middle_leave_no_disk_behind(gateway: Gateway) -> None:
    make_bucket(gateway, "gone", {})
    before = held_bytes(gateway)
    for number in range(10):
        put(gateway, f"/gone/{number}", "", bytes(8 * MIB)).close()
    s3 = gateway.client("s3")

    def kept() -> int:
        return sum(found["Size"] for found in s3.list_objects_v2(Bucket="gone").get("Contents", []))

    until(lambda: (held_bytes(gateway) - before, kept()), lambda sizes: sizes[0] == sizes[1])


@pytest.fixture
def full(gateway: Gateway) -> Iterator[str]:
    """A bucket on a file system of 4 MiB, with an object `former` of 1 MiB."""
    name = f"full-{uuid.uuid4().hex[:8]}"
    make_bucket(gateway, name, {})
    [folder] = [path for path in gateway.localstack.folder.rglob(f"s3/{name}") if path.is_dir()]
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=4m", "tiny", str(folder)], capture_output=True)
    if mounted.returncode != 0:
        pytest.skip(f"cannot mount a small file system: {mounted.stderr.decode().strip()}")
    gateway.client("s3").put_object(Bucket=name, Key="former", Body=b"x" * MIB)
    yield name
    subprocess.run(["umount", "--lazy", str(folder)], check=True)


def test_a_full_disk_destroys_no_object_and_locks_none(gateway: Gateway, full: str) -> None:
    s3 = gateway.client("s3")
    s3.put_object(Bucket=full, Key="large", Body=bytes(2 * MIB))
    for key in ("former", "new"):
        with pytest.raises(ClientError):
            s3.put_object(Bucket=full, Key=key, Body=bytes(2 * MIB))
        with pytest.raises(ClientError):
            s3.copy_object(Bucket=full, Key=key, CopySource=f"{full}/large")
    assert content(s3, full, "former") == b"x" * MIB
    s3.put_object(Bucket=full, Key="new", Body=b"small")
    s3.delete_object(Bucket=full, Key="large")
    s3.put_object(Bucket=full, Key="new", Body=bytes(2 * MIB))


def test_parts_that_do_not_fit_together_destroy_no_object(gateway: Gateway, full: str) -> None:
    s3, upload = gateway.client("s3"), {"Bucket": full, "Key": "former"}
    upload["UploadId"] = s3.create_multipart_upload(**upload)["UploadId"]
    etag = s3.upload_part(**upload, PartNumber=1, Body=bytes(2 * MIB))["ETag"]
    parts = {"Parts": [{"PartNumber": 1, "ETag": etag}]}
    with pytest.raises(ClientError):
        s3.complete_multipart_upload(**upload, MultipartUpload=parts)
    assert content(s3, full, "former") == b"x" * MIB
    s3.abort_multipart_upload(**upload)
    s3.put_object(Bucket=full, Key="new", Body=bytes(2 * MIB))

"""One stack for all clients, on which the page's first block has been run: the others use what it makes."""

import struct
import zlib
from collections.abc import Iterator

import pytest

from tests.clients.client_stack import running
from tests.clients.page import ENVIRONMENTS, Reader


@pytest.fixture(scope="session")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Reader]:
    """Somebody with photos and the AWS CLI, before the first block."""
    folder = tmp_path_factory.mktemp("clients")
    for split in ("train", "valid", "test"):
        photo = folder / ".stagemaker" / "data" / "digits" / split / "digit-3" / "1.png"
        photo.parent.mkdir(parents=True)
        photo.write_bytes(_png())
    (folder / "bin").mkdir()
    (folder / "bin" / "aws").symlink_to(ENVIRONMENTS / "plugin" / "bin" / "aws")  # LocalStack depends on it
    with running(folder / "stack") as localstack:
        yield Reader(localstack.endpoint, folder)


@pytest.fixture(scope="session")
def first_block(stack: Reader) -> str:
    """What the AWS CLI printed."""
    return stack.run("bash", "-ec", stack.text("AWS CLI"), variables=False)


@pytest.fixture
def reader(stack: Reader, first_block: str) -> Reader:
    """Somebody who has run the first block."""
    return stack


def _png() -> bytes:
    """One grey pixel."""
    parts = (
        (b"IHDR", struct.pack(">IIBBBBB", 1, 1, 8, 0, 0, 0, 0)),
        (b"IDAT", zlib.compress(b"\0\x80")),
        (b"IEND", b""),
    )
    chunks = (
        struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data)) for name, data in parts
    )
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunks)

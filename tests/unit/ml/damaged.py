"""Damaged photos for the tests, written byte by byte: cut files, and metadata that is wrong."""

import io
import struct
import zlib
from collections.abc import Iterator
from typing import Any

import numpy as np
from PIL import Image

PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"


def encode(image: Image.Image, form: str = "PNG", **options: Any) -> bytes:
    stream = io.BytesIO()
    image.save(stream, form, **options)
    return stream.getvalue()


def gradient(width: int = 64, height: int = 48) -> Image.Image:
    x, y = np.meshgrid(np.linspace(0, 255, width), np.linspace(0, 255, height))
    return Image.fromarray(np.stack([x, y, 255 - x], axis=-1).astype(np.uint8))


def multi_picture(width: int, height: int) -> bytes:
    """A camera's JPEG (MPO) of two pictures; the first is the gradient."""
    return encode(gradient(width, height), "MPO", save_all=True, append_images=[Image.new("RGB", (64, 48), "red")])


def chunk(kind: bytes, body: bytes, checksum: int | None = None) -> bytes:
    """A chunk of a PNG, with its right checksum if none is given."""
    total = zlib.crc32(kind + body) if checksum is None else checksum
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", total)


def decompression_bomb(width: int, height: int) -> bytes:
    """A valid PNG header of a huge image, with very little data."""
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    parts = chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b"\0" * 1000)) + chunk(b"IEND", b"")
    return PNG_SIGNATURE + parts


def with_chunk(png: bytes, added: bytes) -> bytes:
    """The PNG with bytes after its header chunk."""
    return png[:33] + added + png[33:]


def segment(marker: int, body: bytes) -> bytes:
    """A segment of a JPEG."""
    return bytes([0xFF, marker]) + struct.pack(">H", len(body) + 2) + body


def with_segment(jpeg: bytes, added: bytes) -> bytes:
    """The JPEG with bytes after the marker of its start."""
    return jpeg[:2] + added + jpeg[2:]


def riff(kind: bytes, body: bytes) -> bytes:
    """A chunk of a WebP."""
    return kind + struct.pack("<I", len(body)) + body + b"\0" * (len(body) % 2)


def harmless_pngs(png: bytes) -> Iterator[tuple[str, bytes]]:
    """The PNG with metadata that is wrong in many ways, each with its name. The pixels are whole."""
    for kind in (b"sRGB", b"pHYs", b"gAMA", b"cHRM", b"tIME", b"iCCP", b"tEXt", b"zTXt", b"iTXt", b"tRNS", b"eXIf",
                 b"bKGD", b"sBIT", b"hIST", b"sPLT", b"acTL", b"fcTL", b"prVt"):  # fmt: skip
        name = kind.decode()
        yield f"{name} empty", with_chunk(png, chunk(kind, b""))
        yield f"{name} short", with_chunk(png, chunk(kind, b"\x01"))
        yield f"{name} checksum", with_chunk(png, chunk(kind, b"a\0\0\0\0\0\0\2", checksum=1))
    large, packed = bytes(3 << 20), zlib.compress(bytes(3 << 20))
    for kind, body in (
        (b"tEXt", b"Comment\0" + b"x" * (3 << 20)),
        (b"zTXt", b"Comment\0\0" + packed),
        (b"iTXt", b"Comment\0\x01\0\0\0" + packed),
        (b"iCCP", b"profile\0\0" + packed),
        (b"prVt", large),
    ):
        yield f"{kind.decode()} of 3 MiB", with_chunk(png, chunk(kind, body))
    for kind in (b"zTXt", b"iCCP", b"iTXt"):
        yield f"{kind.decode()} method 7", with_chunk(png, chunk(kind, b"name\0\x07\x07" + zlib.compress(b"x")))
        yield f"{kind.decode()} not packed", with_chunk(png, chunk(kind, b"name\0\0no zlib"))
    yield "no end", png[:-12]
    yield "cut in a text after the pixels", png[:-12] + chunk(b"tEXt", b"Comment\0text")[:12]
    yield "more after the end", png + b"\0" * 50


def harmless_jpegs(jpeg: bytes) -> Iterator[tuple[str, bytes]]:
    """The JPEG with metadata that is wrong in many ways, each with its name. The pixels are whole."""
    for number in range(16):
        for body in (b"", b"\0", b"Exif\0\0", b"Adobe", b"Adobe\0d", b"JFIF\0", b"JFXX\0", b"ICC_PROFILE\0", b"MPF\0"):
            yield f"APP{number} {body!r}", with_segment(jpeg, segment(0xE0 + number, body))
    for body in (b"8BIM", b"8BIM\x03\xed\0\0\0\0\0\x10", b"8BIM\x03\xed\x40", b"8BIM\x03\xed\0\0\xff\xff\xff\xff1234"):
        yield f"Photoshop {body!r}", with_segment(jpeg, segment(0xED, b"Photoshop 3.0\0" + body))
    for body in (b"II*\0", b"MM\0*\0\0\0\x08", b"II*\0\xff\xff\xff\xff garbage", b"MM\0*\0\0\0\x08\xff\xff\x01\x12"):
        yield f"Exif {body!r}", with_segment(jpeg, segment(0xE1, b"Exif\0\0" + body))
        yield f"MPF {body!r}", with_segment(jpeg, segment(0xE2, b"MPF\0" + body))
    yield "comment", with_segment(jpeg, segment(0xFE, b""))
    yield "impossible length", with_segment(jpeg, b"\xff\xe5\0\0")
    yield "fill bytes", with_segment(jpeg, b"\xff" * 9)
    yield "bytes between segments", with_segment(jpeg, segment(0xE5, b"") + b"abc")
    yield "no end", jpeg[:-2]
    yield "half an end", jpeg[:-1]
    yield "more after the end", jpeg + b"\0" * 50


def harmless_webps(webp: bytes) -> Iterator[tuple[str, bytes]]:
    """The WebP (VP8, without an extended header) with metadata that is wrong, each with its name."""
    picture = webp[12:]
    header = b"\x2c\0\0\0" + (63).to_bytes(3, "little") + (47).to_bytes(3, "little")  # promises ICC, EXIF and XMP
    for kind in (b"ICCP", b"EXIF", b"XMP ", b"junk"):
        for body in (b"", b"x", b"II*\0\xff\xff\xff\xff"):
            extended = riff(b"VP8X", header) + riff(kind, body) + picture
            yield f"{kind.decode()} {body!r}", riff(b"RIFF", b"WEBP" + extended)
    yield "nothing of what the header promises", riff(b"RIFF", b"WEBP" + riff(b"VP8X", header) + picture)
    yield (
        "cut in the last chunk",
        riff(b"RIFF", b"WEBP" + riff(b"VP8X", header) + picture + riff(b"XMP ", b"text")[:-2]),
    )
    yield "wrong size of all", webp[:4] + b"\xff\xff\xff\x00" + webp[8:]

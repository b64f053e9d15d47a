"""Says what a photo is, once for all who handle photos: the check before an upload, the trainer and the endpoint.

Which files of a data set are photos, which are left out, how large a photo may be, and how far a damaged one is used
are decided here and nowhere else. It needs only numpy, Pillow and simplejpeg, since neither infra nor the serving image
has torch.

Accepted are still images in JPEG, PNG and WebP. Greyscale, palette, 16-bit and CMYK images become 8-bit RGB,
transparent pixels are laid on white, and the EXIF orientation is applied. An animation is refused, because none of its
frames is the one picture. Of a camera's multi-picture JPEG the first picture is used.

Metadata decides nothing but the orientation: all that makes no pixels is taken out before Pillow reads the bytes, so
a broken profile, text or checksum in it cannot make a photo unusable. A JPEG that is cut short is used as browsers show
it, with grey in place of what is missing, if something of its lower half is there. PNG and WebP must be whole.
"""

import io
import re
import struct
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import numpy.typing as npt
import simplejpeg
from PIL import Image, UnidentifiedImageError

# The endings of a photo's file name, and its media type. The content may be in another of the three formats.
CONTENT_TYPES = {".jpg": "image/jpeg", ".jpeg": "image/jpeg", ".png": "image/png", ".webp": "image/webp"}
MAX_PIXELS = 50_000_000  # of a JPEG, which is decoded at a fraction of its size; phones take photos of 50 megapixels
# Of PNG and WebP, which are decoded at full size; a file of 34 bytes can declare any size.
MAX_PIXELS_WHOLE = 4096 * 4096
MAX_CLASS_BYTES = 128  # of a class name in UTF-8
# What systems write into folders beside the user's files, in lower case.
_SYSTEM_FILES = frozenset({"thumbs.db", "ehthumbs.db", "desktop.ini", "icon\r", "__macosx", "@eadir"})
_FOLDER_MARKER = "_$folder$"  # Hadoop's tools write such an object for each folder in S3
# Pillow warns at its own limit and fails at twice that limit. decode() checks our limits before it decodes a pixel.
Image.MAX_IMAGE_PIXELS = None

_EXIF_ORIENTATION, _EXIF_SHORT = 0x0112, 3
_TRANSPOSE = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
_PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_PNG_END = b"\0\0\0\0IEND\xaeB`\x82"
_PNG_TRANSPARENCY_BYTES = {0: 2, 2: 6, 3: 1}  # at least, by colour type; other types have an alpha channel
_JPEG_END = b"\xff\xd9"
_JPEG_MARKER = re.compile(rb"\xff[^\x00\xff\xd0-\xd7]")  # in scans: FF 00 is data, D0 to D7 only restart the decoder
_SOS, _APP0, _APP1, _APP14 = 0xDA, 0xE0, 0xE1, 0xEE
_MIN_SIDE = 8  # pixels of a JPEG, from which on each scale of the decoder has a size of its own


class BadImage(ValueError):
    """The bytes are not an image that can be used; the message is one clear sentence for the caller."""


class NotAnImage(BadImage):
    """The bytes are in none of the accepted formats."""


class TooManyPixels(BadImage):
    """The image is larger than the `limit`, in pixels, of its format."""

    def __init__(self, width: int, height: int, limit: int) -> None:
        super().__init__(f"The image has {width} x {height} pixels; at most {limit:,} are accepted.")
        self.limit = limit


@dataclass(frozen=True)
class Listing:
    """The files of a channel. `classes` are the photos by class, both sorted by name; a class may have none.

    `misplaced` are photos beside the class folders, `foreign` what lies in class folders and is no photo."""

    classes: Mapping[str, tuple[Path, ...]]
    misplaced: tuple[Path, ...]
    foreign: tuple[Path, ...]


@dataclass(frozen=True)
class Verdict:
    """How far a photo can be used: not at all because of `error`, or but for the part after the place where it is cut
    short, or whole."""

    error: BadImage | None = None
    is_cut_short: bool = False


@dataclass(frozen=True)
class Verdicts:
    """The verdicts of all photos of a data set by key, `split/class/name`."""

    by_key: Mapping[str, Verdict]

    @cached_property
    def left_out(self) -> dict[str, BadImage]:
        """Why each unusable photo is left out."""
        return {key: verdict.error for key, verdict in self.by_key.items() if verdict.error}

    @cached_property
    def cut_short(self) -> list[str]:
        """The photos that are used in part."""
        return [key for key, verdict in self.by_key.items() if verdict.is_cut_short]

    @property
    def lost_class(self) -> str | None:
        """The first `split/class` of which every photo is left out."""
        usable = {_class_of(key) for key in self.by_key if key not in self.left_out}
        return next((_class_of(key) for key in self.left_out if _class_of(key) not in usable), None)

    def are_too_many_left_out(self, max_share: float) -> bool:
        """Whether more than this share (0 to 1) of all photos is left out."""
        return len(self.left_out) > max_share * len(self.by_key)


def is_left_out(name: str) -> bool:
    """Whether a file or folder of this name is passed over without a word: it is hidden, or a system wrote it."""
    return name.startswith(".") or name.endswith(_FOLDER_MARKER) or name.lower() in _SYSTEM_FILES


def is_class_name(name: str) -> bool:
    """Whether a folder's name can be the name of a class."""
    return name.isprintable() and len(name.encode()) <= MAX_CLASS_BYTES


def shown(name: str | Path) -> str:
    """The name as text that can be printed and sent: bytes that are not UTF-8 are written as \\udc80 and the like."""
    return str(name).encode(errors="backslashreplace").decode()


def list_photos(channel: Path) -> Listing:
    """The photos of `<channel>/<class>/<photo>`. Files beside the class folders that are no photos, such as a README,
    are left out. Raises OSError."""
    entries = _entries(channel)
    inside = {entry.name: _entries(entry) for entry in entries if entry.is_dir()}
    return Listing(
        classes={name: tuple(filter(_is_photo_file, files)) for name, files in inside.items()},
        misplaced=tuple(filter(_is_photo_file, entries)),
        foreign=tuple(path for files in inside.values() for path in files if not _is_photo_file(path)),
    )


def judge(path: Path) -> Verdict:
    """How far the photo in a file can be used. A JPEG is decoded at an eighth of its size. Raises OSError."""
    try:
        pixels = _extract(path.read_bytes())
        _decode(pixels, short_side=1)
    except BadImage as error:
        return Verdict(error)
    return Verdict(is_cut_short=pixels.is_cut_short)


def decode(data: bytes, short_side: int | None = None) -> Image.Image:
    """As decode_pixels, but Pillow's image."""
    return Image.fromarray(decode_pixels(data, short_side))


def decode_pixels(data: bytes, short_side: int | None = None) -> npt.NDArray[np.uint8]:
    """The image in `data` as RGB, upright: uint8 (H, W, 3), contiguous, perhaps not writable.

    With `short_side` (pixels), a much larger JPEG may be decoded at 1/2, 1/4 or 1/8 of its size, but never smaller than
    that side; this is several times faster for camera photos. Raises BadImage for data that is not an accepted image,
    the same for any `short_side`.
    """
    return _decode(_extract(data), short_side)


def pixels_of(image: Image.Image) -> npt.NDArray[np.uint8]:
    """The pixels of an RGB image: uint8 (H, W, 3), not writable. numpy's own conversion takes twice as long."""
    return np.frombuffer(image.tobytes(), np.uint8).reshape(image.height, image.width, 3)


@dataclass(frozen=True)
class _Pixels:
    """What makes the pixels of an image file, in its format, and its orientation by EXIF, of which 1 is upright."""

    format: str
    data: bytes
    orientation: int
    is_cut_short: bool = False

    def open(self) -> Image.Image:
        return Image.open(io.BytesIO(self.data), formats=(self.format,))


def _extract(data: bytes) -> _Pixels:
    if not data:
        raise NotAnImage("The image is empty.")
    if data.startswith(b"\xff\xd8\xff"):
        return _extract_jpeg(data)
    if data.startswith(_PNG_SIGNATURE):
        return _extract_png(data)
    if data.startswith(b"RIFF") and data[8:12] == b"WEBP":
        return _extract_webp(data)
    raise NotAnImage("The data is not a JPEG, PNG or WebP image.")


def _decode(pixels: _Pixels, short_side: int | None) -> npt.NDArray[np.uint8]:
    try:
        image = pixels.open()
        is_plain = image.mode == "RGB" and pixels.format == "JPEG" and min(image.size) >= _MIN_SIDE
        _check(image)
        if pixels.is_cut_short and not _has_lower_half(pixels):
            raise BadImage("The image is broken or truncated: less than half of it is there.")
        if short_side:
            image.draft(None, (short_side, short_side))
        method = _TRANSPOSE.get(pixels.orientation)
        if is_plain and method is None and (quick := _decode_undamaged(pixels.data, image.size)) is not None:
            return quick
        image.load()
        return pixels_of(_to_rgb(image if method is None else image.transpose(method)))
    except BadImage:
        raise
    except UnidentifiedImageError:
        raise BadImage("The image is broken or truncated: its header cannot be read.") from None
    except Exception as error:  # bytes may be hostile: whatever a decoder raises, the image is at fault
        reason = " ".join(str(error).split()).rstrip(". ") or type(error).__name__
        raise BadImage(f"The image is broken or truncated: {reason}.") from error


def _decode_undamaged(jpeg: bytes, size: tuple[int, int]) -> npt.NDArray[np.uint8] | None:
    """The pixels of a JPEG at a `size` that Pillow named. They are Pillow's, in less time: both use libjpeg-turbo.
    None where the decoder reports anything, even what it can recover from: Pillow then decides."""
    width, height = size
    try:
        pixels: npt.NDArray[np.uint8] = simplejpeg.decode_jpeg(jpeg, min_height=height, min_width=width)
    except ValueError:
        return None
    return pixels if pixels.shape == (height, width, 3) else None


def _check(image: Image.Image) -> None:
    width, height = image.size
    limit = MAX_PIXELS if image.format == "JPEG" else MAX_PIXELS_WHOLE
    if width * height > limit:
        raise TooManyPixels(width, height, limit)
    if getattr(image, "is_animated", False):
        raise _animated()


def _animated() -> BadImage:
    return BadImage("The image is animated; send one still image.")


def _has_lower_half(pixels: _Pixels) -> bool:
    """Whether a JPEG that is cut short has something below its middle. The decoder makes what is missing one grey.

    It always looks at an eighth of the size, so that a photo is not judged in another way for another size."""
    image = pixels.open()
    image.draft(None, (1, 1))
    width, height = image.size
    return image.crop((0, height // 2, width, height)).getcolors(1) is None


def _to_rgb(image: Image.Image) -> Image.Image:
    """Any mode of the accepted formats -> RGB. 16-bit values keep their high byte; transparent parts become white."""
    if image.mode.startswith("I"):
        high = (np.asarray(image) >> 8).clip(0, 255).astype(np.uint8)
        return Image.fromarray(high).convert("RGB")
    if image.has_transparency_data:
        layer = image.convert("RGBA")
        white = Image.new("RGB", layer.size, "white")
        white.paste(layer, mask=layer.getchannel("A"))
        return white
    return image if image.mode == "RGB" else image.convert("RGB")


def _extract_jpeg(data: bytes) -> _Pixels:
    """Without application segments and comments, but for the two that say how colours are stored. Ends with the marker
    of the end, at which the decoder fills what is missing with grey."""
    kept, orientation, at = [data[:2]], 1, 2
    while 0 <= (at := data.find(b"\xff", at)) < len(data) - 3:
        marker = data[at + 1]
        if marker == _SOS:
            break
        if marker == 0xFF or marker <= 0x01 or 0xD0 <= marker <= 0xD9:  # fill bytes, and markers without a segment
            at += 1 if marker == 0xFF else 2
            continue
        segment = data[at : at + 2 + max(2, int.from_bytes(data[at + 2 : at + 4]))]
        if marker == _APP1 and segment[4:10] == b"Exif\0\0":
            orientation = _orientation(segment[10:])
        if marker < _APP0 or _says_how_colours_are_stored(marker, segment):
            kept.append(segment)
        at += len(segment)
    scans = data[at:] if at >= 0 else b""
    is_cut_short = scans.rfind(_JPEG_END) < 0
    if is_cut_short:
        scans = _without_cut_segment(scans) + _JPEG_END
    return _Pixels("JPEG", b"".join([*kept, scans]), orientation, is_cut_short)


def _says_how_colours_are_stored(marker: int, segment: bytes) -> bool:
    """JFIF's and Adobe's segments of the length that libjpeg asks for; it does not read shorter ones."""
    is_jfif = marker == _APP0 and segment[4:9] == b"JFIF\0" and len(segment) >= 4 + 14
    return is_jfif or (marker == _APP14 and segment[4:9] == b"Adobe" and len(segment) >= 4 + 12)


def _without_cut_segment(scans: bytes) -> bytes:
    """The scans without a last segment of which a part is missing: the decoder would take the end for its content."""
    at = 0
    while found := _JPEG_MARKER.search(scans, at):
        start = found.start()
        at = start + 2 + max(2, int.from_bytes(scans[start + 2 : start + 4]))
        if at > len(scans):
            return scans[:start]
    return scans


def _extract_png(data: bytes) -> _Pixels:
    """Only the chunks of header, palette, transparency and pixels."""
    kept, exif, at = [data[:8]], b"", 8
    colour_type = data[25] if len(data) > 25 else 0
    while at + 8 <= len(data):
        length, kind = struct.unpack_from(">I4s", data, at)
        chunk = data[at : at + 12 + length]
        body, at = chunk[8 : 8 + length], at + 12 + length
        if kind == b"IEND":
            break
        if kind in (b"IHDR", b"IDAT") or (kind == b"PLTE" and colour_type == 3):
            kept.append(chunk)
        elif kind == b"eXIf":
            exif = body
        elif kind in (b"tRNS", b"acTL") and chunk[8 + length :] == struct.pack(">I", zlib.crc32(kind + body)):
            if kind == b"tRNS" and length >= _PNG_TRANSPARENCY_BYTES.get(colour_type, length + 1):
                kept.append(chunk)
            if kind == b"acTL" and int.from_bytes(body[:4]) > 1:
                raise _animated()
    if at <= len(data):  # else the last chunk is cut short, and what follows it would be taken for its content
        kept.append(_PNG_END)
    return _Pixels("PNG", b"".join(kept), _orientation(exif))


def _extract_webp(data: bytes) -> _Pixels:
    """Only the chunks of pixels and transparency. An animation, and an image without whole pixels, stays as it is."""
    chunks, at = dict[bytes, bytes](), 12
    while at + 8 <= len(data):
        kind, length = struct.unpack_from("<4sI", data, at)
        if at + 8 + length <= len(data):
            chunks.setdefault(kind, data[at + 8 : at + 8 + length])
        at += 8 + length + length % 2
    orientation = _orientation(chunks.get(b"EXIF", b"").removeprefix(b"Exif\0\0"))
    picture: bytes = b"VP8 " if b"VP8 " in chunks else b"VP8L"
    if picture not in chunks or b"ANMF" in chunks:
        return _Pixels("WEBP", data, orientation)
    kept = [picture]
    if picture == b"VP8 " and b"ALPH" in chunks and len(header := chunks.get(b"VP8X", b"")) == 10:
        chunks[b"VP8X"] = b"\x10" + header[1:]  # there is transparency, and nothing else
        kept = [b"VP8X", b"ALPH", picture]
    body = b"WEBP" + b"".join(_riff(kind, chunks[kind]) for kind in kept)
    return _Pixels("WEBP", _riff(b"RIFF", body), orientation)


def _riff(kind: bytes, body: bytes) -> bytes:
    return kind + struct.pack("<I", len(body)) + body + b"\0" * (len(body) % 2)


def _orientation(exif: bytes) -> int:
    """The orientation in an EXIF block (a TIFF file); 1 where the block is broken or names none."""
    order = {b"II": "<", b"MM": ">"}.get(exif[:2])
    if order is None:
        return 1
    try:
        (start,) = struct.unpack_from(order + "I", exif, 4)
        (count,) = struct.unpack_from(order + "H", exif, start)
        for entry in range(start + 2, start + 2 + 12 * count, 12):
            tag, kind, _, value = struct.unpack_from(order + "HHIH", exif, entry)
            if (tag, kind) == (_EXIF_ORIENTATION, _EXIF_SHORT):
                return int(value)
    except struct.error:
        pass
    return 1


def _entries(folder: Path) -> list[Path]:
    """The content of a folder by name, without what is left out."""
    return sorted((path for path in folder.iterdir() if not is_left_out(path.name)), key=lambda path: path.name)


def _is_photo_file(path: Path) -> bool:
    return path.suffix.lower() in CONTENT_TYPES and shown(path.name) == path.name and path.is_file()


def _class_of(key: str) -> str:
    return key.rpartition("/")[0]

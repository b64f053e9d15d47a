"""Reads the body of a request by its content type: it holds images, or the address of an image.

- image/jpeg, image/png, image/webp: one image; its bytes decide which of the three formats it is.
- application/json: {"url": "https://..."}, {"s3": "s3://bucket/key"} or {"instances": [{"b64": "..."}, ...]}. A url may
  be a data: address, and so may a b64. Base64 may have line breaks, the URL-safe alphabet, or no padding.
- application/x-npy: numpy's .npy file of uint8 (H, W, 3) or (N, H, W, 3) RGB pixels, which the server preprocesses, or
  of float32 (3, S, S) or (N, 3, S, S), which the caller has preprocessed.
"""

import base64
import io
import json
import math
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote_to_bytes

import numpy as np
import numpy.typing as npt

from containers.serve.encodings import is_compressed
from containers.serve.model import Item
from containers.serve.refused import Refused, quoted
from containers.serve.settings import MAX_INSTANCES

IMAGE_TYPES = ("image/jpeg", "image/png", "image/webp")
JSON, NPY = "application/json", "application/x-npy"
_DATA_SCHEME = "data:"
_URL_SAFE = bytes.maketrans(b"-_", b"+/")
_JSON_FORMS = '{"url": ...}, {"s3": ...} or {"instances": [{"b64": ...}]}'


@dataclass(frozen=True)
class InlineImages:
    """The request holds the images themselves."""

    items: list[Item]


@dataclass(frozen=True)
class Url:
    """The request holds the URL of one image."""

    url: str


@dataclass(frozen=True)
class S3Object:
    """The request holds the S3 address, s3://bucket/key, of one image."""

    uri: str


type ImageSource = InlineImages | Url | S3Object


def media_type(content_type: str, content_encoding: str = "") -> str:
    """The supported media type that the headers name. Raises Refused 415 for any other."""
    name = content_type.partition(";")[0].strip().lower()
    if name not in (*IMAGE_TYPES, JSON, NPY):
        found = f"Content-Type {quoted(name)} is not supported" if name else "Content-Type is missing"
        raise Refused(415, f"{found}; send {', '.join((*IMAGE_TYPES, JSON))} or {NPY}.")
    if is_compressed(content_encoding):
        raise Refused(415, f"Content-Encoding {quoted(content_encoding)} is not supported; send the body as it is.")
    return name


def parse(media: str, body: bytes) -> ImageSource:
    """What `body` holds; `media` is from media_type(). Raises Refused 400 or 413, which says what is wrong."""
    if not body:
        raise Refused(400, "The body is empty.")
    if media == JSON:
        return _parse_json(body)
    return InlineImages(_parse_npy(body) if media == NPY else [body])


def _parse_json(body: bytes) -> ImageSource:
    try:
        value = json.loads(body)
    except (ValueError, RecursionError):
        raise Refused(400, "The body is not valid JSON.") from None
    match value:
        case {"url": str() as url} if len(value) == 1:
            return InlineImages([_decode_base64(url, "The url")]) if _is_data_address(url) else Url(url)
        case {"s3": str() as uri} if len(value) == 1:
            return S3Object(uri)
        case {"instances": list() as instances} if len(value) == 1:
            return InlineImages(_parse_instances(instances))
    raise Refused(400, f"The JSON must be exactly one of {_JSON_FORMS}.")


def _parse_instances(instances: list[Any]) -> list[Item]:
    _check_count(len(instances))
    items: list[Item] = []
    for index, instance in enumerate(instances):
        match instance:
            case {"b64": str() as text} if len(instance) == 1:
                items.append(_decode_base64(text, f"Instance {index}"))
            case _:
                raise Refused(400, f'Instance {index} must be {{"b64": "<base64 of an image>"}}.')
    return items


def _decode_base64(text: str, subject: str) -> bytes:
    """The bytes of base64 or of a data: address. `subject` names them in the sentence of a refusal."""
    try:
        if not _is_data_address(text):
            return _from_base64(text.encode("ascii"))
        head, comma, payload = text.partition(",")
        if not comma:
            raise ValueError
        content = unquote_to_bytes(payload)
        return _from_base64(content) if head.rstrip().lower().endswith(";base64") else content
    except ValueError:
        raise Refused(400, f"{subject} is not valid base64.") from None


def _is_data_address(text: str) -> bool:
    return text.lstrip()[: len(_DATA_SCHEME)].lower() == _DATA_SCHEME


def _from_base64(text: bytes) -> bytes:
    """Base64 in either alphabet, with line breaks, with or without padding. Raises ValueError."""
    digits = b"".join(text.split()).translate(_URL_SAFE)
    return base64.b64decode(digits + b"=" * (-len(digits) % 4), validate=True)


def _parse_npy(body: bytes) -> list[Item]:
    array = _read_npy(body)
    form = (array.dtype.str, array.ndim, array.shape[-1] if array.dtype == np.uint8 else array.shape[-3])
    match form:
        case ("|u1" | "<f4", 3, 3):
            batch = array[np.newaxis]
        case ("|u1" | "<f4", 4, 3):
            batch = array
        case _:
            raise _bad_npy(f"{array.dtype} with the shape {array.shape}")
    _check_count(len(batch))
    if batch.dtype == np.float32 and not np.isfinite(batch).all():
        raise Refused(400, "The array holds values that are not finite.")
    return list(batch)


def _read_npy(body: bytes) -> npt.NDArray[Any]:
    """The array in a .npy file. The header is compared with the size of the body before memory is allocated. An array
    of objects, which is a pickle, is never read."""
    stream = io.BytesIO(body)
    try:
        version = np.lib.format.read_magic(stream)
        read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
        shape, fortran, dtype = read(stream)
    except Exception:  # noqa: BLE001 - the header may be hostile: whatever numpy raises, it is at fault
        raise Refused(400, "The body is not a numpy .npy file.") from None
    if dtype.str not in ("|u1", "<f4") or len(shape) not in (3, 4):
        raise _bad_npy(f"{quoted(str(dtype))} with {len(shape)} dimensions")
    if not all(type(length) is int and length >= 0 for length in shape):  # numpy takes True for a length
        raise Refused(400, "The array's shape must be whole numbers from 0.")
    if 0 in shape:
        raise Refused(400, "The array holds no image, or an image without pixels.")
    if math.prod(shape) * dtype.itemsize != len(body) - stream.tell():
        raise Refused(400, "The array's data does not have the size that its shape needs.")
    array = np.frombuffer(body, dtype, offset=stream.tell())
    return array.reshape(shape, order="F" if fortran else "C")


def _bad_npy(found: str) -> Refused:
    return Refused(
        400, f"The array must be uint8 (N, H, W, 3) or float32 (N, 3, S, S), with or without N, not {found}."
    )


def _check_count(count: int) -> None:
    if count == 0:
        raise Refused(400, "The request holds no image.")
    if count > MAX_INSTANCES:
        raise Refused(413, f"The request holds {count} images; at most {MAX_INSTANCES} are accepted.")

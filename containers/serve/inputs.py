"""Reads the body of a request by its content type: it holds images, or the address of an image.

- image/jpeg, image/png, image/webp: one image; its bytes decide which of the three formats it is.
- application/json: {"url": "https://..."}, {"s3": "s3://bucket/key"} or {"instances": [{"b64": "..."}, ...]}.
- application/x-npy: numpy's .npy file of uint8 (H, W, 3) or (N, H, W, 3) RGB pixels, which the server preprocesses, or
  of float32 (3, S, S) or (N, 3, S, S), which the caller has preprocessed.
"""

import base64
import binascii
import io
import json
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from containers.serve.model import Item
from containers.serve.refused import Refused
from containers.serve.settings import MAX_INSTANCES

IMAGE_TYPES = ("image/jpeg", "image/png", "image/webp")
JSON, NPY = "application/json", "application/x-npy"
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
        found = f"Content-Type {name!r} is not supported" if name else "Content-Type is missing"
        raise Refused(415, f"{found}; send {', '.join((*IMAGE_TYPES, JSON))} or {NPY}.")
    if content_encoding.strip().lower() not in ("", "identity"):
        raise Refused(415, f"Content-Encoding {content_encoding!r} is not supported; send the body as it is.")
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
            return Url(url)
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
                items.append(_decode_base64(text, index))
            case _:
                raise Refused(400, f'Instance {index} must be {{"b64": "<base64 of an image>"}}.')
    return items


def _decode_base64(text: str, index: int) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        raise Refused(400, f"Instance {index} is not valid base64.") from None


def _parse_npy(body: bytes) -> list[Item]:
    array = _read_npy(body)
    form = (array.dtype.str, array.ndim, array.shape[-1] if array.dtype == np.uint8 else array.shape[-3])
    match form:
        case ("|u1" | "<f4", 3, 3):
            batch = array[np.newaxis]
        case ("|u1" | "<f4", 4, 3):
            batch = array
        case _:
            raise _bad_npy(f"{array.dtype} {array.shape}")
    _check_count(len(batch))
    if batch.dtype == np.float32 and not np.isfinite(batch).all():
        raise Refused(400, "The array holds values that are not finite.")
    if 0 in batch.shape:
        raise Refused(400, "The array holds an image without pixels.")
    return list(batch)


def _read_npy(body: bytes) -> npt.NDArray[Any]:
    """The array in a .npy file. The header is compared with the size of the body before memory is allocated. An array
    of objects, which is a pickle, is never read."""
    stream = io.BytesIO(body)
    try:
        version = np.lib.format.read_magic(stream)
        read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
        shape, fortran, dtype = read(stream)
    except (ValueError, SyntaxError, TypeError, RecursionError, MemoryError, EOFError):
        raise Refused(400, "The body is not a numpy .npy file.") from None
    if dtype.str not in ("|u1", "<f4") or len(shape) not in (3, 4):
        raise _bad_npy(f"{dtype} {shape}")
    count = 1
    for length in shape:
        count *= length
    if min(shape) < 0 or count * dtype.itemsize != len(body) - stream.tell():
        raise Refused(400, f"The array's data does not have the size that its shape {shape} needs.")
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

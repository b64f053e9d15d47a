"""Manifests: objects of S3 that list others. Pure.

AWS source: S3DataSource in the API reference, and "Provide Dataset Metadata to Training Jobs with an Augmented Manifest
File" in the developer guide. What AWS does not document, such as an entry that is there twice, is in docs/fidelity.md.
"""

import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from stagemaker.core.strict_json import read_json
from stagemaker.core.text import printable

_PREFIX = re.compile(r"s3://([^/]+)/(.*)", re.DOTALL)


class BadManifest(ValueError):
    """The manifest cannot be used; the message is a clause that says why."""


@dataclass(frozen=True)
class Manifest:
    """The objects `keys` of one bucket, in their order. Their files lie below `prefix`, an S3 URI."""

    prefix: str
    keys: tuple[str, ...]


def read_manifest(text: bytes) -> Manifest:
    """`[{"prefix": "s3://bucket/path/"}, "a", "b"]`: each text after the first element follows the prefix as it is."""
    try:
        listed = read_json(text)
    except ValueError as error:
        raise BadManifest(f"it is no JSON: {error}") from error
    if not isinstance(listed, list) or not listed:
        raise BadManifest("it is no list that begins with a prefix")
    prefix = listed[0].get("prefix") if isinstance(listed[0], dict) else None
    found = _PREFIX.fullmatch(prefix) if isinstance(prefix, str) else None
    if found is None or listed[0].keys() != {"prefix"}:
        raise BadManifest('its first element must be {"prefix": "s3://bucket/..."}')
    for number, suffix in enumerate(listed[1:], start=2):
        if not isinstance(suffix, str):
            raise BadManifest(f"its element {number} is no text")
    return Manifest(found[0], tuple(found[2] + suffix for suffix in listed[1:]))


@dataclass(frozen=True)
class Reference:
    """An object of S3 whose content is meant."""

    uri: str


def read_line(line: bytes, attributes: Sequence[str]) -> Iterator[Reference | bytes]:
    """What an augmented manifest's line says of each of `attributes`, in their order: the object that an attribute
    whose name ends with `-ref` names, or the value as text."""
    try:
        values = read_json(line)
    except ValueError as error:
        raise BadManifest(f"it is no JSON: {error}") from error
    if not isinstance(values, dict):
        raise BadManifest("it is no JSON object")
    for name in attributes:
        if name not in values:
            raise BadManifest(f"it has no attribute '{printable(name)}'")
        yield _reference(name, values[name]) if name.endswith("-ref") else _text(values[name])


def _reference(name: str, value: Any) -> Reference:
    found = _PREFIX.fullmatch(value) if isinstance(value, str) else None
    if found is None or not found[2]:
        raise BadManifest(f"its attribute '{printable(name)}' is no S3 URI of an object")
    return Reference(found[0])


def _text(value: Any) -> bytes:
    """A text as it is, everything else as JSON."""
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return text.encode("utf-8", "surrogatepass")

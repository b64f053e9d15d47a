"""Manifests, good and bad."""

import json
from typing import Any

import pytest

from stagemaker.jobs.manifests import BadManifest, Manifest, Reference, read_line, read_manifest


def manifest(*elements: Any) -> bytes:
    return json.dumps(elements).encode()


def test_suffixes_follow_the_prefix_as_they_are() -> None:
    text = manifest({"prefix": "s3://bucket/some/pre"}, "fix/a", "", "b", "b")
    assert read_manifest(text) == Manifest(
        "s3://bucket/some/pre", ("some/prefix/a", "some/pre", "some/preb", "some/preb")
    )


def test_a_prefix_alone_lists_nothing() -> None:
    assert read_manifest(manifest({"prefix": "s3://bucket/"})) == Manifest("s3://bucket/", ())


def test_a_hundred_thousand_entries() -> None:
    names = [f"{number:06}" for number in range(100_000)]
    assert read_manifest(manifest({"prefix": "s3://bucket/x/"}, *names)).keys == tuple(f"x/{name}" for name in names)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        (b"", "it is no JSON"),
        (b"\xff", "it is no JSON"),
        (b"[NaN]", "it is no JSON: NaN is no number"),
        (b"[" * 100_000, "it is no JSON: it is nested too deeply"),
        (b"{}", "it is no list that begins with a prefix"),
        (b"[]", "it is no list that begins with a prefix"),
        (manifest("a"), "its first element must be"),
        (manifest({"prefix": ""}), "its first element must be"),
        (manifest({"prefix": "s3://bucket"}), "its first element must be"),
        (manifest({"prefix": "https://bucket/x"}), "its first element must be"),
        (manifest({"prefix": 1}), "its first element must be"),
        (manifest({"prefix": "s3://bucket/", "more": 1}), "its first element must be"),
        (manifest({"prefix": "s3://bucket/"}, "a", 1), "its element 3 is no text"),
        (manifest({"prefix": "s3://bucket/"}, {"prefix": "s3://other/"}), "its element 2 is no text"),
    ],
)
def test_a_bad_manifest_says_why(text: bytes, why: str) -> None:
    with pytest.raises(BadManifest) as caught:
        read_manifest(text)
    assert why in str(caught.value)


def test_a_line_gives_its_attributes_in_their_order() -> None:
    line = '{"label": "cat \u00e9", "n": 5, "box": {"x": [1, 2.5]}, "source-ref": "s3://b/a b.jpg", "t": true}'
    assert list(read_line(line.encode(), ["source-ref", "label", "n", "box", "t"])) == [
        Reference("s3://b/a b.jpg"),
        "cat \u00e9".encode(),
        b"5",
        b'{"x": [1, 2.5]}',
        b"true",
    ]


@pytest.mark.parametrize(
    ("line", "why"),
    [
        (b"x", "it is no JSON"),
        (b"[]", "it is no JSON object"),
        (b"{}", "it has no attribute 'source-ref'"),
        (b'{"source-ref": "https://b/x"}', "its attribute 'source-ref' is no S3 URI of an object"),
        (b'{"source-ref": "s3://b/"}', "its attribute 'source-ref' is no S3 URI of an object"),
        (b'{"source-ref": 5}', "its attribute 'source-ref' is no S3 URI of an object"),
    ],
)
def test_a_bad_line_says_why(line: bytes, why: str) -> None:
    with pytest.raises(BadManifest) as caught:
        list(read_line(line, ["source-ref"]))
    assert why in str(caught.value)

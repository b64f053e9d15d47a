"""What Lambda says about a function's image."""

from typing import Any

import pytest

from stagemaker.functions.function_image_rules import create_refusal, image_missing, resolved_uri

DIGEST = "a" * 64


@pytest.mark.parametrize(
    ("uri", "expected"),
    [
        ("repo", "repo"),
        ("repo:tag", "repo"),
        ("team/repo:tag", "team/repo"),
        ("localhost:5000/repo", "localhost:5000/repo"),
        ("localhost:5000/repo:tag", "localhost:5000/repo"),
        (f"localhost:5000/team/repo@sha256:{'b' * 64}", "localhost:5000/team/repo"),
        ("000000000000.dkr.ecr.eu-west-1.amazonaws.com/repo:1.0", "000000000000.dkr.ecr.eu-west-1.amazonaws.com/repo"),
    ],
)
def test_an_image_by_its_digest(uri: str, expected: str) -> None:
    assert resolved_uri(uri, DIGEST) == f"{expected}@sha256:{DIGEST}"


@pytest.mark.parametrize(
    ("request_", "refused"),
    [
        ({"PackageType": "Image"}, False),
        ({"PackageType": "Image", "Layers": []}, False),
        ({"PackageType": "Image", "Handler": "a.b"}, True),
        ({"PackageType": "Image", "Runtime": "python3.13"}, True),
        ({"PackageType": "Image", "Layers": ["arn"]}, True),
        ({"PackageType": "Zip", "Handler": "a.b", "Runtime": "python3.13"}, False),
        ({"Handler": "a.b"}, False),
    ],
)
def test_what_belongs_to_a_zip_file(request_: dict[str, Any], refused: bool) -> None:
    assert (create_refusal(request_) is not None) == refused


def test_an_image_that_is_missing() -> None:
    assert image_missing("a:b") == "Source image a:b does not exist. Provide a valid source image."

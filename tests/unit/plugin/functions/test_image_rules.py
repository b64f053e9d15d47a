"""What Lambda says about a function's image."""

from typing import Any

import pytest

from stagemaker.functions.image_rules import create_refusal, image_missing


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

"""What Lambda says about a function's image. Pure."""

from collections.abc import Mapping
from typing import Any

_OF_A_ZIP = ("Handler", "Runtime", "Layers")


def create_refusal(request: Mapping[str, Any]) -> str | None:
    """Why CreateFunction is an InvalidParameterValueException, where LocalStack does not say so."""
    if request.get("PackageType") != "Image" or not any(request.get(name) for name in _OF_A_ZIP):
        return None
    return "Please don't provide Handler or Runtime or Layer when the intended function PackageType is Image."


def image_unsupported(uri: str) -> str:
    """The message of an InvalidParameterValueException for an index. Source: AWS's answers, quoted in public
    repositories."""
    return f"The image manifest, config or layer media type for the source image {uri} is not supported."


def image_missing(uri: str) -> str:
    """The message of an InvalidParameterValueException."""
    return f"Source image {uri} does not exist. Provide a valid source image."

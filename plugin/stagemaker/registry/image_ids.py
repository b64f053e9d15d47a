"""ECR names images by digest, by tag or by both; the batch operations answer what is wrong with a name as a failure."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from stagemaker.core.store import Record
from stagemaker.registry.catalog import RepositoryImage, image, image_tags
from stagemaker.registry.manifest_plan import TAG

_DIGEST = re.compile("[a-zA-Z0-9-_+.]+:[a-fA-F0-9]+")  # as the API's model has it


@dataclass(frozen=True)
class Failure:
    """Why no image was found, as AWS says it."""

    code: str
    reason: str

    def answer(self, image_id: Mapping[str, str]) -> dict[str, Any]:
        """An item of `failures`."""
        return {"imageId": dict(image_id), "failureCode": self.code, "failureReason": self.reason}


NOT_FOUND = Failure("ImageNotFound", "Requested image not found")


def find_image(record: Record, image_id: Mapping[str, str]) -> RepositoryImage | Failure:
    """The image that the id names."""
    digest, tag = image_id.get("imageDigest"), image_id.get("imageTag")
    if digest is None and tag is None:
        return Failure("MissingDigestAndTag", "Invalid request parameters: both tag and digest cannot be null")
    if digest is not None and not _DIGEST.fullmatch(digest):
        pattern = _DIGEST.pattern
        return Failure(
            "InvalidImageDigest", f"Invalid request parameters: image digest should satisfy the regex '{pattern}'"
        )
    if tag is not None and not TAG.fullmatch(tag):
        return Failure("InvalidImageTag", f"Invalid request parameters: image tag should satisfy '{TAG.pattern}'")
    tagged = image_tags(record).get(tag) if tag is not None else digest
    if digest is not None and tagged is not None and tagged != digest:
        return Failure("ImageTagDoesNotMatchDigest", "Requested image tag does not match the image digest")
    return image(record, tagged or "") or NOT_FOUND

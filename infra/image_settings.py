"""The repositories of the images in ECR: how long they keep an image, and what they are encrypted with."""

import re
from dataclasses import dataclass

_KEY = re.compile(r"[A-Za-z0-9:/_-]{1,2048}")
MAX_COUNT = 10_000  # (ours) of images, and of days


@dataclass(frozen=True)
class ImageSettings:
    """A repository keeps the newest `keep` images with a tag, and images without one for `untagged_days` days.
    `kms_key` is the key, alias or ARN that a new one is encrypted with; without it S3's own. Raises ValueError for what
    AWS would not take."""

    keep: int = 50
    untagged_days: int = 1
    kms_key: str = ""

    def __post_init__(self) -> None:
        if not 1 <= self.keep <= MAX_COUNT or not 1 <= self.untagged_days <= MAX_COUNT:
            raise ValueError(
                f"A repository keeps {self.keep} images, and those without a tag {self.untagged_days} days: "
                f"both must be from 1 to {MAX_COUNT}."
            )
        if self.kms_key and not _KEY.fullmatch(self.kms_key):
            raise ValueError(f"{self.kms_key!r} is not the id, the alias or the ARN of a KMS key.")

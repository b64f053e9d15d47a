"""The repositories of the images in ECR: how long they keep an image, and what they are encrypted with."""

from dataclasses import dataclass

from infra.encryption.settings import check_key

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
        if self.kms_key:
            check_key(self.kms_key)

"""The bucket of another account as data: the table [data] of a preset."""

import re
from dataclasses import dataclass

from infra.accounts import check_account

_BUCKET = re.compile(r"[a-z0-9](?:[.-]?[a-z0-9]){2,62}")
_PREFIX = re.compile(r"[A-Za-z0-9_.=-]+(?:/[A-Za-z0-9_.=-]+)*")
MAX_BUCKET = 63  # letters of a name: AWS's
MAX_PREFIX = 512  # (ours) S3's keys have 1,024 bytes


@dataclass(frozen=True)
class DataSettings:
    """The photos lie in `bucket`, which belongs to the account with the number `account`, below `prefix` if there is
    one: `<prefix>/train/<class>/<photo>` and `<prefix>/valid/...`. Raises ValueError for what AWS would not take."""

    bucket: str
    account: str
    prefix: str = ""

    def __post_init__(self) -> None:
        if not _BUCKET.fullmatch(self.bucket) or len(self.bucket) > MAX_BUCKET:
            raise ValueError(
                f"The bucket {self.bucket!r} must have 3 to {MAX_BUCKET} small letters, digits, dots and hyphens."
            )
        check_account(self.account)
        if self.prefix and not (_PREFIX.fullmatch(self.prefix) and len(self.prefix) <= MAX_PREFIX):
            raise ValueError(
                f"The prefix {self.prefix!r} must be folders such as sets/dogImages: at most {MAX_PREFIX} letters, "
                "digits, _ . = - and a slash between two folders."
            )

    @property
    def folder(self) -> str:
        """What begins the key of every photo: the prefix with a slash, or nothing."""
        return f"{self.prefix}/" if self.prefix else ""

    @property
    def uri(self) -> str:
        """Such as s3://bucket/prefix/."""
        return f"s3://{self.bucket}/{self.folder}"

"""The bucket of another account as data: the table [data] of a preset."""

import re
from dataclasses import dataclass

from infra.accounts import check_account

_BUCKET = re.compile(r"[a-z0-9](?:[.-]?[a-z0-9]){2,62}")
_PREFIX = re.compile(r"[A-Za-z0-9_.=-]+(?:/[A-Za-z0-9_.=-]+)*")
_KEY = re.compile(r"arn:[a-z-]+:kms:(?P<region>[a-z0-9-]+):[0-9]{12}:key/[A-Za-z0-9-]{1,128}")
MAX_BUCKET = 63  # letters of a name: AWS's
MAX_PREFIX = 512  # (ours) S3's keys have 1,024 bytes


@dataclass(frozen=True)
class DataSettings:
    """The photos lie in `bucket`, which belongs to the account with the number `account`, below `prefix` if there is
    one: `<prefix>/train/<class>/<photo>` and `<prefix>/valid/...`. `kms_key_arn` is that of the KMS key, again another
    account's, that encrypts them; empty where S3's own keys do. Raises ValueError for what AWS would not take."""

    bucket: str
    account: str
    prefix: str = ""
    kms_key_arn: str = ""

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
        if self.kms_key_arn and not _KEY.fullmatch(self.kms_key_arn):
            raise ValueError(
                f"kms_key_arn = {self.kms_key_arn!r} is not the ARN of a KMS key, such as arn:aws:kms:us-east-1:"
                "210987654321:key/1234abcd-12ab-34cd-56ef-1234567890ab. An alias is of one's own account alone."
            )

    @property
    def key_region(self) -> str:
        """The region of the key; empty without one."""
        found = _KEY.fullmatch(self.kms_key_arn)
        return found["region"] if found else ""

    @property
    def folder(self) -> str:
        """What begins the key of every photo: the prefix with a slash, or nothing."""
        return f"{self.prefix}/" if self.prefix else ""

    @property
    def uri(self) -> str:
        """Such as s3://bucket/prefix/."""
        return f"s3://{self.bucket}/{self.folder}"

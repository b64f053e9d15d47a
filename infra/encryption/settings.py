"""The encryption of a deployment as data: the table [encryption] of a preset."""

import re
from dataclasses import dataclass

_KEY = re.compile(r"[A-Za-z0-9:/_-]{1,2048}")


def check_key(name: str) -> None:
    """Raises ValueError for what is no id, alias or ARN of a key of KMS."""
    if not _KEY.fullmatch(name):
        raise ValueError(f"{name!r} is not the id, the alias or the ARN of a KMS key.")


@dataclass(frozen=True)
class EncryptionSettings:
    """The customer managed key of KMS that a deployment's data are encrypted with: an alias such as "alias/dogs", an id
    or an ARN. It must be there: a deployment makes none. Raises ValueError for what cannot be one."""

    key: str

    def __post_init__(self) -> None:
        check_key(self.key)
        if self.key.partition("alias/")[2].startswith("aws/"):
            raise ValueError(f"{self.key} is AWS's own key: nobody else can say who may use it.")

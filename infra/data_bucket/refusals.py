"""Tells by AWS's words why photos may not be read: S3 has the code AccessDenied for all of it, and for a refusal by the
policy of a key too. Pure."""

import re

_REFUSAL = re.compile("access ?denied|permission|not authorized|forbidden", re.IGNORECASE)
# KMS's words in S3's message: of now, and of before 2021.
_OF_KEY = re.compile(r"\bkms:[A-Z]|\bciphertext\b|\bKMS key\b", re.IGNORECASE)


def is_refusal(text: str) -> bool:
    """Whether the text says that something may not be read."""
    return bool(_REFUSAL.search(text))


def is_of_key(text: str) -> bool:
    """Whether a refusal is one of KMS: who reads may not use the key that encrypts the object."""
    return bool(_OF_KEY.search(text))

"""Addresses that open the notebook for a short while: each carries a token, and a token is signed and ends.

A token is `<end>.<session>.<signature>`: until when it opens (epoch seconds), how many seconds the session that it
opens may last, and HMAC-SHA256 of the two under the key that whoever starts the notebook gives it (NOTEBOOK_URL_KEY).
"""

import hashlib
import hmac
import re

_TOKEN = re.compile(r"(\d{1,12}\.\d{1,6})\.([0-9a-f]{64})", re.ASCII)


def session_s(key: str, token: str, now_s: float) -> int | None:
    """How long a session may last that the token opens now; None when it opens none."""
    found = _TOKEN.fullmatch(token)
    if found is None:
        return None
    said, signature = found.groups()
    expected = hmac.new(key.encode(), said.encode(), hashlib.sha256).hexdigest()
    end_s, session = (int(number) for number in said.split("."))
    return session if hmac.compare_digest(signature, expected) and now_s < end_s else None

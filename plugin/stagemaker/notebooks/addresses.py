"""The addresses that open a notebook instance for a short while: a token of each is signed, and ends. Pure.

JupyterLab itself reads the token, by the same key: `containers/notebook/addresses.py` has the form.
"""

import hashlib
import hmac

VALID_S = 300  # AWS's: CreatePresignedNotebookInstanceUrl
SESSION_S = 43_200  # AWS's default


def authorized_url(address: tuple[str, int], key: str, now_s: float, session_s: int) -> str:
    """An address of the server at `address` that opens until VALID_S from now, for a session of `session_s`."""
    said = f"{int(now_s) + VALID_S}.{session_s}"
    signature = hmac.new(key.encode(), said.encode(), hashlib.sha256).hexdigest()
    return f"http://{address[0]}:{address[1]}/lab?authToken={said}.{signature}"

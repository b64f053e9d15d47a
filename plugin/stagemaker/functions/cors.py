"""Which pages may call a function URL, by the CORS configuration of the URL. Pure.

Source: https://docs.aws.amazon.com/lambda/latest/dg/urls-configuration.html#urls-cors: Lambda answers preflights
itself, and adds the headers to what the function answers. Without a configuration it does neither.
"""

from collections.abc import Mapping, Sequence
from typing import Any

EVERY = "*"


def allows(origins: Sequence[str], origin: str) -> bool:
    """Whether an AllowOrigins list names the origin of a page."""
    return EVERY in origins or origin in origins


def answer_headers(cors: Mapping[str, Any], origin: str) -> dict[str, str]:
    """What an answer to a page of this origin gets; nothing for an origin that is not allowed."""
    origins = cors.get("AllowOrigins") or []
    if not origin or not allows(origins, origin):
        return {}
    headers = {"Access-Control-Allow-Origin": EVERY if EVERY in origins else origin, "Vary": "Origin"}
    if cors.get("AllowCredentials"):
        headers["Access-Control-Allow-Credentials"] = "true"
    return headers | _lists(cors, {"ExposeHeaders": "Access-Control-Expose-Headers"})


def preflight_headers(cors: Mapping[str, Any], origin: str) -> dict[str, str]:
    """What a preflight of this origin is answered, without the function; nothing for one that is not allowed."""
    headers = answer_headers(cors, origin)
    if not headers:
        return {}
    if cors.get("MaxAge") is not None:
        headers["Access-Control-Max-Age"] = str(cors["MaxAge"])
    names = {"AllowMethods": "Access-Control-Allow-Methods", "AllowHeaders": "Access-Control-Allow-Headers"}
    return headers | _lists(cors, names)


def _lists(cors: Mapping[str, Any], names: Mapping[str, str]) -> dict[str, str]:
    return {header: ",".join(cors[member]) for member, header in names.items() if cors.get(member)}

"""Pure: which part of the registry's HTTP API a request asks for. Grammar: the OCI distribution specification; names as
ECR takes them. Nothing else is ever passed on, so that no path leads out of the caller's own repositories."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Literal
from urllib.parse import parse_qsl, urlencode

from stagemaker.registry.manifest_plan import DIGEST, TAG

RouteKind = Literal["base", "tags", "manifest", "blob", "uploads", "upload"]
METHODS: Mapping[RouteKind, tuple[str, ...]] = {
    "base": ("GET", "HEAD"),
    "tags": ("GET",),
    "manifest": ("GET", "HEAD", "PUT"),
    "blob": ("GET", "HEAD"),
    "uploads": ("POST",),
    "upload": ("GET", "PATCH", "PUT", "DELETE"),
}
_PART = r"[a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*"
NAME = re.compile(rf"{_PART}(/{_PART})*")  # ECR's pattern
_NAME_LIMIT = 256
_UPLOAD = re.compile(r"[A-Za-z0-9_=-]{1,128}")
_PATHS: tuple[tuple[RouteKind, re.Pattern[str]], ...] = (
    ("base", re.compile(r"/v2/?")),
    ("tags", re.compile(r"/v2/(?P<name>.+)/tags/list")),
    ("manifest", re.compile(r"/v2/(?P<name>.+)/manifests/(?P<reference>[^/]+)")),
    ("uploads", re.compile(r"/v2/(?P<name>.+)/blobs/uploads/?")),
    ("upload", re.compile(r"/v2/(?P<name>.+)/blobs/uploads/(?P<reference>[^/]+)")),
    ("blob", re.compile(r"/v2/(?P<name>.+)/blobs/(?P<reference>[^/]+)")),
)
_QUERY = ("mount", "from", "digest", "_state", "n", "last")
_COUNT = re.compile("[0-9]{1,9}")


class RequestRefused(Exception):
    """The request is not answered: `code` and `message` as the specification has them."""

    def __init__(self, status: int, code: str, message: str) -> None:
        super().__init__(message)
        self.status, self.code, self.message = status, code, message


@dataclass(frozen=True)
class Route:
    """`reference` is a tag or digest, a blob's digest, or an upload's id; `query` holds only what is known."""

    kind: RouteKind
    repository: str = ""
    reference: str = ""
    query: Mapping[str, str] = field(default_factory=dict)


def route(method: str, target: str) -> Route:
    """Of a request line. Raises RequestRefused."""
    path, _, query = target.partition("?")
    for kind, pattern in _PATHS:
        if match := pattern.fullmatch(path):
            parts = match.groupdict()
            found = Route(kind, parts.get("name", ""), parts.get("reference", ""), _query(query))
            _check(found)
            if method not in METHODS[kind]:
                raise RequestRefused(405, "UNSUPPORTED", f"ECR does not take {method} here: use the ECR API.")
            return found
    raise RequestRefused(404, "UNSUPPORTED", "There is nothing of the registry's API at this path.")


def tags_page(asked: Route, tags: Iterable[str]) -> tuple[list[str], dict[str, str]]:
    """The page of the listing that is asked for, and the header that leads to the next."""
    found = sorted(tag for tag in tags if tag > asked.query.get("last", ""))
    size = int(asked.query.get("n", len(found)))
    if not 0 < size < len(found):
        return found[:size], {}
    query = urlencode({"n": size, "last": found[size - 1]})
    return found[:size], {"Link": f'</v2/{asked.repository}/tags/list?{query}>; rel="next"'}


def _query(text: str) -> dict[str, str]:
    return {key: value for key, value in parse_qsl(text) if key in _QUERY}


def _check(found: Route) -> None:
    if found.kind == "base":
        return
    for name in (found.repository, found.query.get("from", "any")):
        if len(name) > _NAME_LIMIT or not NAME.fullmatch(name):
            raise RequestRefused(400, "NAME_INVALID", f"'{name[:_NAME_LIMIT]}' is not the name of a repository.")
    digests = [found.query[key] for key in ("mount", "digest") if key in found.query]
    if found.kind == "blob":
        digests.append(found.reference)
    if not all(DIGEST.fullmatch(digest) for digest in digests):
        raise RequestRefused(400, "DIGEST_INVALID", "A digest is sha256: and 64 hexadecimal digits.")
    if found.kind == "upload" and not _UPLOAD.fullmatch(found.reference):
        raise RequestRefused(404, "BLOB_UPLOAD_UNKNOWN", "There is no such upload.")
    if not _COUNT.fullmatch(found.query.get("n", "0")):
        raise RequestRefused(400, "PAGINATION_NUMBER_INVALID", "The number of results is a whole number.")
    if found.kind == "manifest" and not (TAG.fullmatch(found.reference) or DIGEST.fullmatch(found.reference)):
        raise RequestRefused(400, "TAG_INVALID", "A manifest is named by a tag or by a SHA-256 digest.")

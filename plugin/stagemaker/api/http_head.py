"""The beginning of an HTTP request, by which it is refused before its body is read, and the answer to it. Pure.

LocalStack's own answers need a request that was read and understood. These need neither.
"""

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from xml.sax.saxutils import escape

_REST_JSON = re.compile("/endpoints/|/20[0-9]{2}-[0-9]{2}-[0-9]{2}/")  # SageMaker Runtime and Lambda
_BLANKS = " \t"  # around a header's value; other bytes are parts of characters
_JSON_TYPES = ("application/x-amz-json-1.0", "application/x-amz-json-1.1")
_PHRASES = {400: "Bad Request", 403: "Forbidden", 413: "Content Too Large", 501: "Not Implemented"}


@dataclass(frozen=True)
class Head:
    """`path` and `query` as they were sent, `headers` by their names in lower case, with every value that was sent.
    `address` is this machine's, which the connection was made to, such as `127.0.0.1`."""

    method: str
    path: str
    query: str
    headers: Mapping[str, tuple[str, ...]]
    address: str

    def values(self, name: str) -> tuple[str, ...]:
        """Of the header; none where it was not sent."""
        return self.headers.get(name, ())

    def value(self, name: str) -> str:
        """The first value of the header, or nothing."""
        return next(iter(self.values(name)), "")


@dataclass(frozen=True)
class Refusal:
    """What the sender of a request is told instead of an answer. `status` is 400, 403, 413 or 501."""

    status: int
    code: str
    message: str


def make_head(method: str, target: str, headers: Iterable[tuple[str, str]], address: str) -> Head:
    """`target` is a path with its query, or a whole URL, as a client sends it to a proxy."""
    if not target.startswith("/"):
        target = "/" + target.partition("://")[2].partition("/")[2]
    path, _, query = target.partition("?")
    found: dict[str, tuple[str, ...]] = {}
    for name, value in headers:
        found[name.lower()] = (*found.get(name.lower(), ()), value.strip(_BLANKS))
    return Head(method, path, query, found, address)


def written(head: Head, refusal: Refusal) -> bytes:
    """The whole answer, after which the connection ends, in the form of the protocol that the head speaks."""
    content_type, body = _body(head, refusal)
    content = body.encode()
    lines = [
        f"HTTP/1.1 {refusal.status} {_PHRASES[refusal.status]}",
        f"Content-Type: {content_type}",
        f"Content-Length: {len(content)}",
        f"x-amzn-ErrorType: {refusal.code}",
        "X-Content-Type-Options: nosniff",
        "Connection: close",
    ]
    answer = "\r\n".join([*lines, "", ""]).encode()
    return answer if head.method == "HEAD" else answer + content


def _body(head: Head, refusal: Refusal) -> tuple[str, str]:
    code, message = refusal.code, refusal.message
    if head.value("x-amz-target") or _REST_JSON.match(head.path):
        sent = head.value("content-type")
        members = {"__type": code, "message": message, "Message": message}
        return sent if sent in _JSON_TYPES else "application/json", json.dumps(members)
    error = f"<Code>{escape(code)}</Code><Message>{escape(message)}</Message>"
    if "x-www-form-urlencoded" in head.value("content-type"):  # the query protocol
        return "text/xml", f"<ErrorResponse><Error><Type>Sender</Type>{error}</Error></ErrorResponse>"
    return "application/xml", f'<?xml version="1.0" encoding="UTF-8"?>\n<Error>{error}</Error>'

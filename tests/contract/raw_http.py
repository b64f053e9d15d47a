"""Requests as an attacker writes them: byte by byte, with the headers that a client would not send."""

import socket
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import urlsplit

PATIENCE_S = 30
SIGNED = "AWS4-HMAC-SHA256 Credential=000000000000/20260101/eu-west-1/{}/aws4_request, SignedHeaders=host, Signature=0"


@dataclass(frozen=True)
class RawAnswer:
    """`headers` by their names in lower case. `body` is what had come when the connection ended."""

    status: int
    headers: Mapping[str, str]
    body: bytes


def connect(url: str) -> socket.socket:
    """To the server of the address."""
    address = urlsplit(url)
    return socket.create_connection((str(address.hostname), address.port or 80), timeout=PATIENCE_S)


def head(method: str, target: str, headers: Mapping[str, str]) -> bytes:
    """A request up to its empty line."""
    lines = [f"{method} {target} HTTP/1.1", *(f"{name}: {value}" for name, value in headers.items())]
    return "\r\n".join([*lines, "", ""]).encode()


def read_answer(connection: socket.socket) -> RawAnswer:
    """Read to the end of the connection, which the request must ask for with `Connection: close`, or which comes with a
    refusal. AssertionError when nothing comes."""
    content = b""
    while piece := connection.recv(1 << 16):
        content += piece
    assert content, "the connection ended without an answer"
    lines, _, body = content.partition(b"\r\n\r\n")
    first, *rest = lines.decode("latin-1").split("\r\n")
    headers = dict(line.split(": ", 1) for line in rest)
    return RawAnswer(int(first.split()[1]), {name.lower(): value for name, value in headers.items()}, body)


def ask(url: str, method: str, target: str, headers: Mapping[str, str], body: bytes = b"") -> RawAnswer:
    """One request on a connection of its own. `headers` win over a Host, a Content-Length and a Connection."""
    usual = {"Host": urlsplit(url).netloc, "Content-Length": str(len(body)), "Connection": "close"}
    with connect(url) as connection:
        connection.sendall(head(method, target, {**usual, **headers}) + body)
        return read_answer(connection)


def json_headers(operation: str, service: str = "sagemaker") -> dict[str, str]:
    """Of a call that a script can write: the signature is not verified."""
    return {
        "X-Amz-Target": f"SageMaker.{operation}",
        "Content-Type": "application/x-amz-json-1.1",
        "Authorization": SIGNED.format(service),
    }

"""Fetches an image from a URL that a caller gave, and prevents server-side request forgery (SSRF).

- Only http and https, no credentials in the URL, only the ports 80, 443 and those from 1024.
- The host is resolved once for each hop, and refused if any of its addresses is not public. The connection goes to the
  address that was checked, so a name that resolves to another address a moment later (DNS rebinding) has no effect. The
  Host header and TLS still use the name.
- Every redirect is a new hop with the same checks. Total time, size and number of hops are bounded.
- No proxy settings, cookies or netrc are read: this module opens the connection, and h11 parses HTTP.
"""

import asyncio
import socket
import ssl
from collections.abc import Awaitable, Callable, Collection
from dataclasses import dataclass
from functools import cache
from ipaddress import ip_address
from urllib.parse import urljoin, urlsplit

import h11

from containers.serve.addresses import is_host, is_public
from containers.serve.encodings import is_compressed
from containers.serve.refused import Refused
from containers.serve.settings import MAX_BODY_BYTES, REMOTE_TIMEOUT_S

MAX_URL = 8192  # S3 takes presigned addresses of this length; those with a session token are over 2,000
MAX_REDIRECTS = 3
MAX_HEADER_BYTES = 32_768
_REDIRECTS = (301, 302, 303, 307, 308)
_DEFAULT_PORTS = {"http": 80, "https": 443}
_CHUNK = 65_536

# host, port -> the IP addresses of the host, as text. Raises OSError.
type Resolve = Callable[[str, int], Awaitable[list[str]]]


@dataclass(frozen=True)
class Hop:
    """One hop: a checked URL in its parts. `host` is lower case without a trailing dot; `path` has the query."""

    scheme: str
    host: str
    port: int
    path: str

    @property
    def authority(self) -> str:
        """The host as the Host header names it, with the port unless it is the scheme's default."""
        name = f"[{self.host}]" if ":" in self.host else self.host
        return name if self.port == _DEFAULT_PORTS[self.scheme] else f"{name}:{self.port}"


@dataclass(frozen=True)
class UrlResponse:
    """The response of one hop. `location` is empty unless the hop redirects."""

    status: int
    location: str
    body: bytes


async def resolve(host: str, port: int) -> list[str]:
    """The IP addresses of the host, from the system's resolver. Raises OSError."""
    found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(entry[4][0]) for entry in found))


async def fetch(
    url: str,
    *,
    resolve: Resolve = resolve,
    allowed_origins: Collection[str] = (),
    tls: ssl.SSLContext | None = None,
    limit_bytes: int = MAX_BODY_BYTES,
    timeout_s: float = REMOTE_TIMEOUT_S,
) -> bytes:
    """The body that `url` gives. `allowed_origins` are `host:port` that may be fetched although they are not public.

    Raises Refused: 413 when the body is larger than `limit_bytes`, else 400 with a sentence that tells nothing about
    the internal network."""
    try:
        async with asyncio.timeout(timeout_s):
            for _ in range(MAX_REDIRECTS + 1):
                hop = parse(url)
                answer = await _get(hop, await _addresses(hop, resolve, allowed_origins), tls, limit_bytes)
                if answer.status not in _REDIRECTS or not answer.location:
                    return _body(answer)
                url = urljoin(url, answer.location)
    except TimeoutError:
        raise Refused(400, f"The URL did not answer within {timeout_s:g} s.") from None
    except (OSError, h11.RemoteProtocolError) as error:
        raise Refused(400, "The URL's host could not be reached, or did not answer in HTTP.") from error
    raise Refused(400, f"The URL redirects more than {MAX_REDIRECTS} times.")


def parse(url: str) -> Hop:
    """The parts of the URL. Raises Refused 400 when its form is not accepted. No name is resolved."""
    if not 0 < len(url) <= MAX_URL or not url.isascii() or any(char <= " " or char in '\\\x7f<>"^`{|}' for char in url):
        raise Refused(400, f"The URL must be at most {MAX_URL} printable ASCII characters; percent-encode others.")
    try:
        parts = urlsplit(url)
        host, port = (parts.hostname or "").removesuffix("."), parts.port
    except ValueError:
        raise Refused(400, "The URL is malformed.") from None
    if parts.scheme not in _DEFAULT_PORTS:
        raise Refused(400, "The URL must begin with http:// or https://.")
    if "@" in parts.netloc:
        raise Refused(400, "The URL must not hold a user name or password.")
    if not is_host(host) or ("[" in parts.netloc) != (":" in host):
        raise Refused(400, "The URL's host is not a DNS name or a plain IP address.")
    port = _DEFAULT_PORTS[parts.scheme] if port is None else port
    if port not in (80, 443) and port < 1024:
        raise Refused(400, "The URL's port must be 80, 443 or at least 1024.")
    path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    return Hop(parts.scheme, host, port, path)


async def _addresses(hop: Hop, resolve: Resolve, allowed_origins: Collection[str]) -> list[str]:
    """The addresses of the hop, all of them checked. Raises Refused 400."""
    try:
        addresses = await resolve(hop.host, hop.port)
    except (OSError, UnicodeError):
        raise Refused(400, "The URL's host name could not be resolved.") from None
    if f"{hop.host}:{hop.port}" not in allowed_origins and not all(is_public(ip_address(a)) for a in addresses):
        raise Refused(400, "The URL's host is not on the public internet.")
    return addresses


async def _get(hop: Hop, addresses: list[str], tls: ssl.SSLContext | None, limit_bytes: int) -> UrlResponse:
    reader, writer = await _connect(hop, addresses, tls)
    try:
        connection = h11.Connection(h11.CLIENT, max_incomplete_event_size=MAX_HEADER_BYTES)
        headers = [("Host", hop.authority), ("Accept-Encoding", "identity"), ("Connection", "close")]
        headers += [("User-Agent", "stagemaker-serve"), ("Accept", "image/*,*/*;q=0.5")]
        request = h11.Request(method="GET", target=hop.path, headers=headers)
        writer.write((connection.send(request) or b"") + (connection.send(h11.EndOfMessage()) or b""))
        await writer.drain()
        return await _read(connection, reader, limit_bytes)
    finally:
        writer.transport.abort()


async def _connect(
    hop: Hop, addresses: list[str], tls: ssl.SSLContext | None
) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """A connection to the first address that accepts one. The name is not resolved again. Raises OSError."""
    secure = hop.scheme == "https"
    failure = OSError("The name has no address.")
    for address in addresses:
        try:
            return await asyncio.open_connection(
                address,
                hop.port,
                ssl=(tls or _tls()) if secure else None,
                server_hostname=hop.host if secure else None,
            )
        except OSError as error:
            failure = error
    raise failure


@cache
def _tls() -> ssl.SSLContext:
    """A context that checks certificate and name. It is made once: reading the authorities takes tens of ms."""
    return ssl.create_default_context()


async def _read(connection: h11.Connection, reader: asyncio.StreamReader, limit_bytes: int) -> UrlResponse:
    status, headers, body = 0, dict[str, str](), bytearray()
    while True:
        event = connection.next_event()
        if event is h11.NEED_DATA:
            connection.receive_data(await reader.read(_CHUNK))
        elif isinstance(event, h11.Response):
            status = event.status_code
            headers = {name.decode(): value.decode("latin-1") for name, value in event.headers}
            if status in _REDIRECTS:
                return UrlResponse(status, headers.get("location", ""), b"")
            _check_headers(headers, limit_bytes)
        elif isinstance(event, h11.Data):
            body += event.data
            _check_size(len(body), limit_bytes)
        elif isinstance(event, (h11.EndOfMessage, h11.ConnectionClosed)) or event is h11.PAUSED:
            return UrlResponse(status, "", bytes(body))


def _check_headers(headers: dict[str, str], limit_bytes: int) -> None:
    if is_compressed(headers.get("content-encoding", "")):
        raise Refused(400, "The URL's answer is compressed although that was not asked for.")
    _check_size(int(headers.get("content-length", "0")), limit_bytes)  # h11 refuses what is not digits from 0 to 9


def _check_size(size: int, limit_bytes: int) -> None:
    if size > limit_bytes:
        raise Refused(413, f"The URL's answer is larger than {limit_bytes:,} bytes.")


def _body(answer: UrlResponse) -> bytes:
    if answer.status != 200:
        raise Refused(400, f"The URL answered with status {answer.status}.")
    if not answer.body:
        raise Refused(400, "The URL's answer is empty.")
    return answer.body

"""A pretended AWS: unmodified AWS clients call AWS's own host names over HTTPS, and reach a backend of the tests.

It is an HTTPS proxy on loopback. A client that has HTTPS_PROXY and AWS_CA_BUNDLE set sends everything through it, and
trusts the certificates that it shows in the name of AWS's hosts. So boto3 without endpoint_url, and
`python -m infra ... --target aws` in a process of its own, run as they would against AWS. What LocalStack does not do
by itself is injected in between: errors of AWS, connections that are cut, delays.

    with pretending(Server(gateway.url), folder, keys) as aws:
        sagemaker = aws.client("sagemaker")                     # boto3, in this process
        subprocess.run([...], env=environ | aws.environment())  # any AWS client, in another
        with aws.injected(Fault("sagemaker", "CreateModel", error=THROTTLED, last=3)):
            ...                                                 # the first three calls are refused
        aws.calls("sagemaker", "CreateModel")                   # the log: what was asked, and how it was answered

The backend is `Server(url)` or `Moto()` of tests/aws/backends.py. LocalStack must know AWS's names (STAGEMAKER_HOSTS in
tests/aws/conftest.py): the fixture `aws` there has a strict LocalStack behind it. Hosts that are not AWS's are refused,
and listed in `refused_hosts`.
"""

import os
import socket
import ssl
import sys
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import boto3
from botocore.config import Config

from tests.aws import wire
from tests.aws.backends import Backend
from tests.aws.certificates import Authority
from tests.aws.rules import Fault, Rules
from tests.aws.wire import Asked, AwsError, HttpRequest, HttpResponse

REGION = "us-east-1"
_IDLE_S = 120.0
_MAX_BODY_BYTES = 256 << 20
_CUT_SHORT = "the client went away in the middle of a body"


@dataclass(frozen=True)
class Keys:
    """Credentials of a client."""

    access_key_id: str
    secret: str
    token: str = ""


@dataclass(frozen=True)
class Call:
    """One request that came. `status` is that of the answer, 0 where the connection was cut; `is_fault` says that the
    answer, or the cut, was injected."""

    asked: Asked
    host: str
    status: int
    is_fault: bool = False

    @property
    def service(self) -> str:
        """By boto3's name."""
        return self.asked.service

    @property
    def operation(self) -> str:
        """Such as CreateModel."""
        return self.asked.operation

    @property
    def members(self) -> Mapping[str, Any]:
        """Of the request."""
        return self.asked.members


class PretendedAws:
    """A proxy that listens. Made by `pretending`. Thread-safe."""

    def __init__(self, backend: Backend, authority: Authority, keys: Keys) -> None:
        self.backend, self.authority, self.keys = backend, authority, keys
        self.refused_hosts = list[str]()
        self._rules, self._log, self._lock = Rules(), list[Call](), threading.Lock()
        self.server = _Server(self)

    @property
    def url(self) -> str:
        """Of the proxy."""
        return f"http://127.0.0.1:{self.server.server_port}"

    def environment(self, keys: Keys | None = None, region: str = REGION) -> dict[str, str]:
        """The variables that send the AWS clients of a process here, with these credentials, and with nothing of the
        user's own configuration."""
        keys = keys or self.keys
        token = {"AWS_SESSION_TOKEN": keys.token} if keys.token else {}
        return {
            "HTTPS_PROXY": self.url,
            "AWS_CA_BUNDLE": str(self.authority.bundle),
            "AWS_ACCESS_KEY_ID": keys.access_key_id,
            "AWS_SECRET_ACCESS_KEY": keys.secret,
            "AWS_DEFAULT_REGION": region,
            "AWS_CONFIG_FILE": os.devnull,
            "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
            "AWS_EC2_METADATA_DISABLED": "true",
            **token,
        }

    def session(self, keys: Keys | None = None, region: str = REGION) -> Any:
        """A boto3 session with these credentials."""
        keys = keys or self.keys
        return boto3.Session(keys.access_key_id, keys.secret, keys.token or None, region_name=region)

    def client(
        self, service: str, keys: Keys | None = None, region: str = REGION, url: str | None = None, **config: Any
    ) -> Any:
        """A boto3 client of this process, without retries unless `config` has some; `url` is another than AWS's."""
        settings = Config(**{"retries": {"total_max_attempts": 1}, "proxies": {"https": self.url}, **config})
        trusted = str(self.authority.bundle)
        return self.session(keys, region).client(service, endpoint_url=url, config=settings, verify=trusted)

    @contextmanager
    def injected(self, *faults: Fault) -> Iterator[None]:
        """The faults happen, for as long as it is entered."""
        self._rules.add(faults)
        try:
            yield
        finally:
            self._rules.remove(faults)

    def calls(self, service: str = "", operation: str = "") -> list[Call]:
        """Those that came so far, in the order in which they were answered: all, or of a service and an operation."""
        with self._lock:
            return [call for call in self._log if service in ("", call.service) and operation in ("", call.operation)]

    def forget(self) -> None:
        """Empty the log."""
        with self._lock:
            self._log.clear()

    def answer(self, request: HttpRequest) -> HttpResponse | None:
        """What becomes of a request; None: the connection is cut."""
        asked = wire.read(request)
        fault = self._rules.of(asked)
        response, is_fault = self._answer(request, asked, fault), fault is not None
        with self._lock:
            self._log.append(Call(asked, request.host, response.status if response else 0, is_fault))
        return response

    def _answer(self, request: HttpRequest, asked: Asked, fault: Fault | None) -> HttpResponse | None:
        if fault is None:
            return self.backend.send(request)
        time.sleep(fault.delay_s)
        fault.meanwhile(asked)
        if fault.error:
            error = fault.error if isinstance(fault.error, AwsError) else fault.error(asked)
            return wire.write(error, asked, request)
        if fault.cut == "before":
            return None
        response = self.backend.send(request)
        fault.afterwards(asked)
        return None if fault.cut == "after" else response


@contextmanager
def pretending(backend: Backend, folder: Path, keys: Keys) -> Iterator[PretendedAws]:
    """A proxy before the backend, whose clients have these credentials unless they say others."""
    aws = PretendedAws(backend, Authority(folder), keys)
    thread = threading.Thread(target=aws.server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield aws
    finally:
        aws.server.shutdown()
        thread.join()
        aws.server.cut_all()
        aws.server.server_close()
    if aws.server.errors:
        raise BaseExceptionGroup("the pretended AWS failed", aws.server.errors)


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, aws: PretendedAws) -> None:
        super().__init__(("127.0.0.1", 0), _Tunnel)
        self.aws = aws
        self.open = set[socket.socket]()
        self.errors = list[BaseException]()

    def cut_all(self) -> None:
        """End every connection."""
        for connection in list(self.open):
            with suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that goes away is no error of ours; any other is one of the proxy, and `pretending` raises it."""
        error = sys.exception()
        if error is not None and not isinstance(error, OSError):
            self.errors.append(error)


class _Tunnel(BaseHTTPRequestHandler):
    """A connection: CONNECT to a host, then HTTPS with the host's certificate."""

    protocol_version = "HTTP/1.1"
    timeout = _IDLE_S
    server: _Server
    host = ""

    def do_CONNECT(self) -> None:
        """Become the host, if it is one of AWS's."""
        host, _, port = self.path.rpartition(":")
        aws = self.server.aws
        if not wire.is_aws(host) or port != "443" or self.host:
            aws.refused_hosts.append(self.path)
            self.send_error(403, "Only AWS is pretended here")
            self.close_connection = True
            return
        self.wfile.write(b"HTTP/1.1 200 Connection established\r\n\r\n")
        try:
            tls = aws.authority.context(host).wrap_socket(self.connection, server_side=True)
        except OSError:  # the client does not trust us, or has gone
            self.close_connection = True
            return
        self.server.open.add(tls)
        self.connection, self.host, self.close_connection = tls, host, False
        self.rfile, self.wfile = tls.makefile("rb"), tls.makefile("wb")

    def finish(self) -> None:
        """The connection has ended."""
        with suppress(OSError):
            super().finish()
        if isinstance(self.connection, ssl.SSLSocket):
            self.server.open.discard(self.connection)
            self.connection.close()

    def handle_expect_100(self) -> bool:
        """Let the body come at once: a client that waits for this in vain goes on after a second at best."""
        super().handle_expect_100()
        self.wfile.flush()
        return True

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - as the original
        """The log is the proxy's own."""

    def _pass_on(self) -> None:
        if not self.host:
            self.send_error(403, "Only CONNECT is taken here")
            return
        request = HttpRequest(self.command, self.host, self.path, tuple(self.headers.items()), self._body())
        try:
            response = self.server.aws.answer(request)
        except OSError:
            response = None
        if response is None:
            self.close_connection = True
            return
        self.send_response_only(response.status)
        for name, value in response.headers:
            self.send_header(name, value)
        names = {name.lower() for name, _ in response.headers}
        if "content-length" not in names and response.status not in (204, 304):
            self.send_header("Content-Length", str(len(response.body)))
        self.end_headers()
        self.wfile.write(response.body)
        self.wfile.flush()

    def _body(self) -> bytes:
        if "chunked" in self.headers.get("Transfer-Encoding", ""):
            pieces, total = list[bytes](), 0
            while size := int(self._line().split(b";")[0], 16):
                total += size
                if total > _MAX_BODY_BYTES:
                    raise OSError("the body is too long")
                pieces.append(self.rfile.read(size))
                self._line()
            while self.rfile.readline().strip():
                pass  # trailers
            return b"".join(pieces)
        length = int(self.headers.get("Content-Length") or 0)
        if length > _MAX_BODY_BYTES:
            raise OSError("the body is too long")
        body = self.rfile.read(length)
        if len(body) < length:
            raise OSError(_CUT_SHORT)
        return body

    def _line(self) -> bytes:
        line = self.rfile.readline()
        if not line:
            raise OSError(_CUT_SHORT)
        return line

    do_GET = do_HEAD = do_POST = do_PUT = do_DELETE = do_PATCH = _pass_on

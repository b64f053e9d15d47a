"""Passes on what a host asks its metadata service, 169.254.169.254, and the account's registry: to the stage, which
answers for this host alone.

The link-local address is the host's own on its network, so that it meets this program there, and nobody else.
"""

import os
import socket
import sys
import threading
import urllib.error
import urllib.request
from collections.abc import Mapping
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import quote

from system import METADATA, REGISTRY

_TIMEOUT_S = 30
_PIECE_BYTES = 1 << 16
_SENT = ("x-aws-ec2-metadata-token", "x-aws-ec2-metadata-token-ttl-seconds", "x-forwarded-for")
_TABLES = (Path("/proc/net/tcp"), Path("/proc/net/tcp6"))


def main() -> None:
    """Serve until the end of the host."""
    if registry := os.environ.get("STAGEMAKER_REGISTRY"):
        host, _, port = registry.rpartition(":")
        for address in ((REGISTRY, 80), ("127.0.0.1", int(port))):
            _in_thread(_forward, socket.create_server(address, backlog=64), (host, int(port)))
    server = ThreadingHTTPServer((METADATA, 80), _Metadata)
    server.daemon_threads = True
    server.serve_forever()


class _Metadata(BaseHTTPRequestHandler):
    server_version, sys_version = "EC2ws", ""
    protocol_version = "HTTP/1.1"
    timeout = _TIMEOUT_S

    def do_GET(self) -> None:
        """Ask the stage, and give its answer."""
        hops = 2 if _is_in_a_container(self.client_address) else 1
        status, headers, body = _ask(self.command, self.path, dict(self.headers.items()), hops)
        if status == 0:  # the answer to PUT has a hop limit, and does not arrive
            self.close_connection = True
            return
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    do_HEAD = do_PUT = do_POST = do_DELETE = do_GET

    def log_message(self, *_arguments: object) -> None:
        """Nothing."""


def _ask(method: str, path: str, sent: Mapping[str, str], hops: int) -> tuple[int, dict[str, str], bytes]:
    """Status, headers and body; the status is 0 for an answer that does not arrive."""
    headers = {name: value for name, value in sent.items() if name.lower() in _SENT}
    headers |= {"x-stagemaker-hops": str(hops), "x-stagemaker-token": os.environ["STAGEMAKER_TOKEN"]}
    url = os.environ["STAGEMAKER_METADATA"] + quote(path, safe="/?=&%-._~")
    request = urllib.request.Request(url, method=method, headers=headers)  # noqa: S310 - the stage's own address
    try:
        with urllib.request.urlopen(request, timeout=_TIMEOUT_S) as answer:  # noqa: S310
            status, told, body = answer.status, answer.headers, answer.read()
    except urllib.error.HTTPError as error:
        status, told, body = error.code, error.headers, error.read()
    except OSError:
        return 503, {}, b""
    if told.get("x-stagemaker-lost"):
        return 0, {}, b""
    kept = ("content-type", "x-aws-ec2-metadata-token-ttl-seconds")
    return status, {name: value for name, value in told.items() if name.lower() in kept}, body


def _is_in_a_container(client: Any) -> bool:
    """Whether the other end of the connection is a process in a container of this host: one whose process ids are
    within a namespace (NSpid in proc(5)) below the host's."""
    inode = _inode(int(client[1]))
    for folder in Path("/proc").iterdir() if inode else ():
        if not folder.name.isdecimal():
            continue
        with suppress(OSError):
            if any(str(each.readlink()) == f"socket:[{inode}]" for each in (folder / "fd").iterdir()):
                status = (folder / "status").read_text()
                return any(line.startswith("NSpid:") and len(line.split()) > 3 for line in status.splitlines())
    return False


def _inode(port: int) -> str | None:
    """Of the socket that is bound to this port and connected to the metadata service."""
    wanted = f":{port:04X}"
    for table in _TABLES:
        with suppress(OSError):
            for line in table.read_text().splitlines()[1:]:
                fields = line.split()
                if fields[1].endswith(wanted) and fields[2].endswith(":0050"):
                    return fields[9]
    return None


def _forward(listening: socket.socket, target: tuple[str, int]) -> None:
    """Pass each connection on."""
    while True:
        here, _ = listening.accept()
        try:
            there = socket.create_connection(target, _TIMEOUT_S)
        except OSError as error:
            print(f"relay: the registry is not reached: {error}", file=sys.stderr, flush=True)
            here.close()
            continue
        there.settimeout(None)
        _in_thread(_copy, here, there)
        _in_thread(_copy, there, here)


def _copy(source: socket.socket, target: socket.socket) -> None:
    with suppress(OSError):
        while data := source.recv(_PIECE_BYTES):
            target.sendall(data)
    for each in (source, target):
        with suppress(OSError):
            each.shutdown(socket.SHUT_RDWR if each is source else socket.SHUT_WR)


def _in_thread(run: Any, *arguments: Any) -> None:
    threading.Thread(target=run, args=arguments, daemon=True).start()


if __name__ == "__main__":
    main()

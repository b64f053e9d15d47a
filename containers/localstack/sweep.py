"""The program of the container `sweeper`: it removes what a LocalStack that was killed has left in the engine.

LocalStack removes its jobs, servers and functions when it is stopped. When it is killed it cannot, and `docker compose
down` knows only what its file names. Compose stops this program after LocalStack; then it removes the rest. It imports
only the standard library, so that it needs little memory while it waits.
"""

import http.client
import json
import os
import signal
import socket
import sys
from typing import Any
from urllib.parse import quote

_SOCKET = "/var/run/docker.sock"
_API = "/v1.44"  # that of Docker 25
_LIMIT_S = 20.0
_MADE = "label=com.stagemaker.network={}"
_LOCALSTACK = (
    "label=com.docker.compose.project={}",
    "label=com.docker.compose.service=localstack",
    "label=com.docker.compose.config-hash",  # a container that only runs an image of compose's has no such label
)


class _Engine(http.client.HTTPConnection):
    """A connection to the engine's socket."""

    def __init__(self) -> None:
        super().__init__("docker", timeout=_LIMIT_S)

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(_LIMIT_S)
        self.sock.connect(_SOCKET)


def main() -> int:
    """Wait for SIGTERM or SIGINT, then sweep. Returns 0, or 1 when something stays."""
    ends = {signal.SIGTERM, signal.SIGINT}
    signal.pthread_sigmask(signal.SIG_BLOCK, ends)
    signal.sigwait(ends)
    return sweep(os.environ["STAGEMAKER_NETWORK"])


def sweep(network: str) -> int:
    """Remove every container, network and volume that a LocalStack of this network made. While LocalStack runs, nothing
    is removed. Returns 0, or 1 when something stays."""
    localstack = [word.format(network) for word in _LOCALSTACK]
    if _listed("containers", *localstack, "status=running"):
        return 0
    made, stays = _MADE.format(network), 0
    for container in _listed("containers", *localstack):  # else it could not be started again
        for one in _listed("networks", made):
            leaving = {"Container": container["Id"], "Force": True}
            _call("POST", f"/networks/{one['Id']}/disconnect", leaving)  # an error: it was not there
    for kind, key, options in (("containers", "Id", "?force=1&v=1"), ("networks", "Id", ""), ("volumes", "Name", "")):
        for one in _listed(kind, made):
            status, answer = _call("DELETE", f"/{kind}/{one[key]}{options}")
            if status >= 400 and status != 404:
                print(f"{kind} {one[key]}: {answer}", file=sys.stderr)
                stays = 1
    return stays


def _listed(kind: str, *filters: str) -> list[dict[str, Any]]:
    words: dict[str, list[str]] = {}
    for name, _, value in (one.partition("=") for one in filters):
        words.setdefault(name, []).append(value)
    path = f"/containers/json?all=1&filters={quote(json.dumps(words))}"
    if kind != "containers":
        path = f"/{kind}?filters={quote(json.dumps(words))}"
    status, answer = _call("GET", path)
    if status != 200:
        raise OSError(f"the engine answers {status}: {answer}")
    found: list[dict[str, Any]] = (answer["Volumes"] or []) if kind == "volumes" else answer
    return found


def _call(method: str, path: str, body: dict[str, Any] | None = None) -> tuple[int, Any]:
    """The status and the answer, which is None where there is none."""
    engine = _Engine()
    try:
        engine.request(method, _API + path, json.dumps(body) if body else None, {"Content-Type": "application/json"})
        answer = engine.getresponse()
        return answer.status, json.loads(answer.read() or b"null")
    finally:
        engine.close()


if __name__ == "__main__":
    sys.exit(main())

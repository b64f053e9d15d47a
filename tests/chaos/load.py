"""The steady load: calls that are due at a constant rate, whether or not those before them have ended."""

import http.client
import json
import threading
import time
import uuid
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from urllib.parse import urlsplit

from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from tests.chaos.calls import BROKEN_OFF, NO_ANSWER, REFUSED, WRONG_ANSWER, Call

LIMIT_S = 75.0  # for one call: InvokeEndpoint may take 60 s
THREADS = 256
_ROOT, _REGION = Credentials("test", "test"), "us-east-1"


@dataclass(frozen=True)
class Stream:
    """Calls of one kind. `path` is InvokeEndpoint's or Lambda's Invoke; `service` is its name in the signature."""

    name: str
    service: str
    path: str
    rate_per_s: float


class Load:
    """Calls of every stream against one gateway, from `start` to `stop`. Thread-safe."""

    def __init__(self, url: str, streams: Iterable[Stream]) -> None:
        self._host, self._port = urlsplit(url).hostname or "", urlsplit(url).port or 80
        self._streams = tuple(streams)
        self._lock = threading.Lock()
        self._calls: list[Call] = []
        self._due: list[tuple[str, float]] = []
        self._stopped = threading.Event()
        self._pool = ThreadPoolExecutor(THREADS)
        self._clocks = [threading.Thread(target=self._send, args=(stream,), daemon=True) for stream in self._streams]

    @property
    def stream_names(self) -> tuple[str, ...]:
        """Of all streams."""
        return tuple(stream.name for stream in self._streams)

    def start(self) -> None:
        """Send from now on."""
        for clock in self._clocks:
            clock.start()

    def stop(self) -> None:
        """Send no more, and wait for the calls that are open."""
        self._stopped.set()
        for clock in self._clocks:
            if clock.is_alive():
                clock.join()
        self._pool.shutdown()

    def sent(self, stream: str, since_s: float = 0.0, until_s: float = float("inf")) -> int:
        """How many calls were due in [since_s, until_s), by time.monotonic."""
        with self._lock:
            return sum(name == stream and since_s <= due_s < until_s for name, due_s in self._due)

    def calls(self, since_s: float = 0.0, until_s: float = float("inf")) -> list[Call]:
        """Those that were due in [since_s, until_s) and have ended."""
        with self._lock:
            return [call for call in self._calls if since_s <= call.due_s < until_s]

    def open(self, until_s: float) -> int:
        """How many calls that were due before `until_s` have not ended."""
        with self._lock:
            due = sum(due_s < until_s for _, due_s in self._due)
            return due - sum(call.due_s < until_s for call in self._calls)

    def _send(self, stream: Stream) -> None:
        due_s = time.monotonic()
        while not self._stopped.wait(max(0.0, due_s - time.monotonic())):
            with self._lock:
                self._due.append((stream.name, due_s))
            self._pool.submit(self._call, stream, due_s)
            due_s = max(due_s + 1 / stream.rate_per_s, time.monotonic() - 1.0)  # a machine that stood still is no flood

    def _call(self, stream: Stream, due_s: float) -> None:
        failure, worker, position = self._ask(stream)
        with self._lock:
            self._calls.append(Call(stream.name, due_s, time.monotonic(), failure, worker, position))

    def _ask(self, stream: Stream) -> tuple[str, str, int]:
        """Why it failed, or who answered and with which number."""
        body = uuid.uuid4().hex
        sent = body if stream.service == "sagemaker" else json.dumps({"body": body})
        try:
            status, headers, answer = post(self._host, self._port, stream.service, stream.path, sent.encode())
        except ConnectionRefusedError:
            return REFUSED, "", 0
        except TimeoutError:
            return NO_ANSWER, "", 0
        except (OSError, http.client.HTTPException):
            return BROKEN_OFF, "", 0
        if failure := failure_of(status, headers, answer):
            return failure, "", 0
        found = json.loads(answer)
        return "" if found["body"] == body else WRONG_ANSWER, found["worker"], found["position"]


def post(
    host: str, port: int, service: str, path: str, body: bytes, limit_s: float = LIMIT_S
) -> tuple[int, dict[str, str], bytes]:
    """A POST that root signs, over a new connection: status, headers with names in lower case, and body. OSError or
    HTTPException."""
    connection = http.client.HTTPConnection(host, port, timeout=limit_s)
    try:
        request = AWSRequest("POST", f"http://{host}:{port}{path}", {"Content-Type": "application/json"}, body)
        SigV4Auth(_ROOT, service, _REGION).add_auth(request)
        with suppress(BrokenPipeError, ConnectionResetError):  # an answer may have come before the body was sent
            connection.request("POST", path, body, dict(request.headers.items()))
        response = connection.getresponse()
        return response.status, {name.lower(): value for name, value in response.getheaders()}, response.read()
    finally:
        connection.close()


def failure_of(status: int, headers: dict[str, str], body: bytes) -> str:
    """The code of AWS in an answer, or the status where it has none; empty for success."""
    if "x-amz-function-error" in headers:
        return f"function error {headers['x-amz-function-error']}"
    if 200 <= status < 300:
        return ""
    code = headers.get("x-amzn-errortype", "")
    if not code:
        try:
            found = json.loads(body)
            code = found.get("__type") or found.get("code") or ""
        except (ValueError, AttributeError):
            code = ""
    return f"{status} {code.rpartition('#')[2].partition(':')[0]}".strip()

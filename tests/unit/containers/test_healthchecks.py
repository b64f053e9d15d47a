"""The programs of the images' HEALTHCHECKs, run against real servers on loopback."""

import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from benchmarks.ports import free_port
from tests.unit.containers.serve_process import TIMEOUT_S, wait_until

CONTAINERS = Path(__file__).resolve().parents[3] / "containers"


class Handler(BaseHTTPRequestHandler):
    """Answers each service, or /ping, with the status that the test gives."""

    statuses: dict[str, int]
    secret: str

    def is_signed(self, service: str, body: bytes) -> bool:
        """Whether botocore makes the same signature of the request, with the root user's secret, and AWS would take it:
        nothing that it reads is left out."""
        head = self.headers["Authorization"]
        names = head.split("SignedHeaders=")[1].split(",")[0].split(";")
        if {name.lower() for name in self.headers if name.lower().startswith(("x-amz-", "content-type"))} - set(names):
            return False
        headers = {name: self.headers[name] for name in names}
        request = AWSRequest(self.command, f"http://{self.headers['host']}/", headers, body)
        request.context["timestamp"] = self.headers["x-amz-date"]
        auth = SigV4Auth(Credentials("test", self.secret), service, "us-east-1")
        text = auth.string_to_sign(request, auth.canonical_request(request))
        return head.endswith(f"Signature={auth.signature(text, request)}")

    def answer(self) -> None:
        if self.path == "/ping":
            name, is_signed = "ping", True
        else:
            name = self.headers["Authorization"].split("/")[3]
            is_signed = self.is_signed(name, self.rfile.read(int(self.headers.get("Content-Length", "0"))))
        self.send_response(self.statuses[name] if is_signed else 403)
        self.send_header("Content-Length", "0")
        self.end_headers()

    do_GET = do_POST = answer

    def log_message(self, *_args: Any) -> None:
        pass


@contextmanager
def server(key: str = "test", **statuses: int) -> Iterator[int]:
    """Runs a server until the end of the block, and gives its port. `key` is the root user's secret."""
    Handler.statuses, Handler.secret = statuses, key
    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as found:
        thread = threading.Thread(target=found.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield found.server_address[1]
        found.shutdown()
        thread.join()


def check(image: str, port: int, root_keys: str = "") -> tuple[int, str]:
    """Runs the program as the image does. Returns its exit status and what it printed."""
    variables = {"SAGEMAKER_BIND_TO_PORT": str(port), "GATEWAY_LISTEN": f"0.0.0.0:{port}", "PATH": os.defpath}
    variables["STAGEMAKER_ROOT_KEYS"] = root_keys
    command = [sys.executable, "-IS", str(CONTAINERS / image / "healthcheck.py")]
    done = subprocess.run(command, env=variables, capture_output=True, text=True, timeout=TIMEOUT_S, check=False)
    assert done.stderr == ""
    return done.returncode, done.stdout


@pytest.mark.parametrize(
    ("sts", "s3", "sagemaker", "says"),
    [
        (200, 200, 200, ""),
        (500, 200, 200, "sts answers 500\n"),
        (200, 501, 200, "s3 answers 501\n"),
        (200, 200, 501, "sagemaker answers 501\n"),
    ],
)
def test_localstack_is_healthy_when_sts_s3_and_the_plugin_answer(sts: int, s3: int, sagemaker: int, says: str) -> None:
    with server(sts=sts, s3=s3, sagemaker=sagemaker) as port:
        wait_until(lambda: check("localstack", port) == (int(bool(says)), says))  # it gives a slow machine 2 s only


def test_the_check_of_localstack_signs_with_the_secret_that_the_root_key_has() -> None:
    keys = "AKIAROOT:other:111122223333, test:hidden:000000000000"
    with server("hidden", sts=200, s3=200, sagemaker=200) as port:
        wait_until(lambda: check("localstack", port, keys) == (0, ""))
        wait_until(lambda: check("localstack", port) == (1, "sts answers 403\n"))


def test_localstack_is_unhealthy_when_it_does_not_listen() -> None:
    status, says = check("localstack", free_port())
    assert (status, says.startswith("sts does not answer: ")) == (1, True)


@pytest.mark.parametrize(("status", "exit_code"), [(200, 0), (500, 1)])
def test_a_server_is_healthy_when_ping_answers_200(status: int, exit_code: int) -> None:
    with server(ping=status) as port:
        wait_until(lambda: check("serve", port) == (exit_code, ""))


def test_a_server_is_unhealthy_when_it_does_not_listen() -> None:
    assert check("serve", free_port()) == (1, "")

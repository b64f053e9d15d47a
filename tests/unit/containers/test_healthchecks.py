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

from tests.ports import free_port
from tests.unit.containers.serve_process import TIMEOUT_S, wait_until

CONTAINERS = Path(__file__).resolve().parents[3] / "containers"


class Handler(BaseHTTPRequestHandler):
    """Answers each service, or /ping, with the status that the test gives."""

    statuses: dict[str, int]

    def answer(self) -> None:
        if self.path == "/ping":
            name = "ping"
        else:
            name = self.headers["Authorization"].split("/")[3]
            assert self.headers["x-localstack-data"] == "{}", "LocalStack logs its own calls only when they fail"
            self.rfile.read(int(self.headers.get("Content-Length", "0")))
        self.send_response(self.statuses[name])
        self.send_header("Content-Length", "0")
        self.end_headers()

    do_GET = do_POST = answer

    def log_message(self, *_args: Any) -> None:
        pass


@contextmanager
def server(**statuses: int) -> Iterator[int]:
    """Runs a server until the end of the block, and gives its port."""
    Handler.statuses = statuses
    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as found:
        thread = threading.Thread(target=found.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield found.server_address[1]
        found.shutdown()
        thread.join()


def check(image: str, port: int) -> tuple[int, str]:
    """Runs the program as the image does. Returns its exit status and what it printed."""
    variables = {"SAGEMAKER_BIND_TO_PORT": str(port), "GATEWAY_LISTEN": f"0.0.0.0:{port}", "PATH": os.defpath}
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


def test_localstack_is_unhealthy_when_it_does_not_listen() -> None:
    status, says = check("localstack", free_port())
    assert (status, says.startswith("sts does not answer: ")) == (1, True)


@pytest.mark.parametrize(("status", "exit_code"), [(200, 0), (500, 1)])
def test_a_server_is_healthy_when_ping_answers_200(status: int, exit_code: int) -> None:
    with server(ping=status) as port:
        wait_until(lambda: check("serve", port) == (exit_code, ""))


def test_a_server_is_unhealthy_when_it_does_not_listen() -> None:
    assert check("serve", free_port()) == (1, "")

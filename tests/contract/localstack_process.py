"""A real LocalStack with the plugin, in host mode on a free loopback port, for the tests that need one."""

import os
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import boto3

from benchmarks.ports import free_port

ROOT = Path(__file__).parents[2]
START_TIMEOUT_S = 120
STOP_TIMEOUT_S = 40


@dataclass(frozen=True)
class LocalStack:
    """One that answers. `folder` holds its state, temporary files and log."""

    endpoint: str
    folder: Path
    process: subprocess.Popen[bytes]

    def client(self, service: str, **options: Any) -> Any:
        """As a user with root's keys would make it."""
        session = boto3.Session("test", "test", region_name="us-east-1")
        return session.client(service, endpoint_url=self.endpoint, **options)

    def stop(self) -> None:
        """As Ctrl-C does; returns when it has ended."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGINT)
        self.process.wait(STOP_TIMEOUT_S)


@contextmanager
def running_localstack(folder: Path, **environment: str) -> Iterator[LocalStack]:
    """Start it, wait until it answers at the first address of GATEWAY_LISTEN, end it."""
    (folder / "tmp").mkdir(parents=True, exist_ok=True)
    with (folder / "log.txt").open("wb") as log:
        command = [sys.executable, "-m", "localstack.runtime.main"]
        settings = _environment(folder, free_port()) | environment
        process = subprocess.Popen(command, env=settings, stdout=log, stderr=log, start_new_session=True)
    localstack = LocalStack(f"http://{settings['GATEWAY_LISTEN'].partition(',')[0]}", folder, process)
    try:
        _wait_until_it_answers(localstack)
        yield localstack
        localstack.stop()
    finally:
        process.kill()
        process.wait()


def _environment(folder: Path, port: int) -> dict[str, str]:
    return {
        **{name: value for name, value in os.environ.items() if name in ("PATH", "SSL_CERT_FILE", "PYTHONPATH")},
        "HOME": str(folder),
        "TMPDIR": str(folder / "tmp"),
        "FILESYSTEM_ROOT": str(folder),
        "OVERRIDE_IN_DOCKER": "0",
        "GATEWAY_LISTEN": f"127.0.0.1:{port}",
        "GATEWAY_SERVER": "loopback",
        "LOCALSTACK_HOST": f"127.0.0.1:{port}",
        "DNS_ADDRESS": "0",
        "DISABLE_EVENTS": "1",
        "SKIP_SSL_CERT_DOWNLOAD": "1",
        "EAGER_SERVICE_LOADING": "0",
        "IN_MEMORY_CLIENT": "1",
        "LAMBDA_RUNTIME_EXECUTOR": "stagemaker",
        "STAGEMAKER_IMAGES": str(ROOT / "containers"),
        "STAGEMAKER_ENVIRONMENTS": str(ROOT / ".stagemaker" / "env"),
    }


def _wait_until_it_answers(localstack: LocalStack) -> None:
    deadline = time.monotonic() + START_TIMEOUT_S
    while time.monotonic() < deadline and localstack.process.poll() is None:
        try:
            with urllib.request.urlopen(f"{localstack.endpoint}/_localstack/health", timeout=5) as answer:
                answer.read()
                return
        except OSError:
            time.sleep(0.1)
    raise AssertionError("LocalStack did not start:\n" + (localstack.folder / "log.txt").read_text()[-4000:])

"""The health check of LocalStack's image against a real LocalStack that enforces IAM, and one that does not."""

import os
import subprocess
import sys
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from tests.contract.gateway import Gateway, until

PROGRAM = Path(__file__).resolve().parents[2] / "containers" / "localstack" / "healthcheck.py"


@pytest.mark.parametrize("name", ["gateway", "strict_gateway"])
def test_localstack_is_healthy_in_every_mode(name: str, request: pytest.FixtureRequest) -> None:
    gateway: Gateway = request.getfixturevalue(name)
    variables = {"GATEWAY_LISTEN": urlsplit(gateway.url).netloc, "PATH": os.defpath}

    def check() -> tuple[int, str]:
        command = [sys.executable, "-IS", str(PROGRAM)]
        done = subprocess.run(command, env=variables, capture_output=True, text=True, check=False)
        return done.returncode, done.stdout + done.stderr

    until(check, lambda found: found == (0, ""))  # it gives a service that is loaded now 10 s only

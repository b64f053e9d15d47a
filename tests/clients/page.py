"""Runs the blocks of docs/clients.md as a reader would type them, so that the page cannot say what is not so."""

import os
import re
import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.contract.localstack_process import ROOT

PAGE = ROOT / "docs" / "clients.md"
ENVIRONMENTS = ROOT / ".stagemaker" / "env"
ADDRESS = "http://127.0.0.1:4566"  # as the page has it
LIMIT_S = 240


def blocks() -> dict[str, tuple[str, str]]:
    """Of every section that has one: its heading, the block's language and its text."""
    found = re.findall(r"^## (.+?)$(?:(?!^## ).)*?^```(\w+)\n(.*?)^```$", PAGE.read_text(), re.MULTILINE | re.DOTALL)
    return {heading: (language, text) for heading, language, text in found}


def python(environment: str) -> str:
    """The program of an environment; the test is skipped where that is not installed."""
    program = ENVIRONMENTS / environment / "bin" / "python"
    if not program.exists():
        pytest.skip(f"needs the environment {environment}: scripts/setup {environment}")
    return str(program)


@dataclass(frozen=True)
class Reader:
    """Somebody with the page, a stack at `endpoint`, and a shell in `folder`, where the photos are."""

    endpoint: str
    folder: Path

    def text(self, heading: str) -> str:
        """The section's block, with the stack's address for the page's."""
        return blocks()[heading][1].replace(ADDRESS, self.endpoint)

    def run(self, *command: str, variables: bool = True) -> str:
        """Runs a command to its end; returns what it printed. `variables`: with those that the first block exports."""
        keys = {"AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test", "AWS_DEFAULT_REGION": "us-east-1"}
        environ = {"PATH": f"{self.folder / 'bin'}:{os.environ['PATH']}", "HOME": str(self.folder), "LANG": "C.UTF-8"}
        if variables:
            environ |= keys | {"AWS_ENDPOINT_URL": self.endpoint}
        done = subprocess.run(
            command, env=environ, cwd=self.folder, capture_output=True, text=True, timeout=LIMIT_S, check=False
        )
        assert done.returncode == 0, f"{command[0]}: {done.stdout[-2000:]}{done.stderr[-6000:]}"
        return done.stdout

"""The environment of an end-to-end test: a real LocalStack with the plugin, with its own port and state folder."""

import os
import re
import subprocess
from dataclasses import dataclass
from pathlib import Path

from infra import hosts
from infra.hosts.host import Host
from infra.paths import CHECKOUT, Paths, paths

CLIENT = paths({}).environments / "client" / "bin" / "python"
EACH = 40  # pictures of each digit: 28 to train, 6 to valid, 6 to test
EPOCHS = "--set=epochs=6"
TITLES = (
    "Bucket", "Data in S3", "Role of training", "Role of hosting", "Training job", "Model", "Endpoint configuration",
    "Endpoint", "Role of the function", "Function", "Alias of the function",
)  # fmt: skip


def leftovers(folder: Path) -> list[str]:
    """Every process that names a folder in its command line, its environment or its working directory."""
    found, needle = [], str(folder).encode()
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit() or int(entry.name) == os.getpid():
            continue
        try:
            command = (entry / "cmdline").read_bytes()
            known = command + (entry / "environ").read_bytes() + str((entry / "cwd").readlink()).encode()
        except (FileNotFoundError, ProcessLookupError, PermissionError):  # it has ended, or is another user's
            continue
        if needle in known:
            found.append(f"{entry.name} {command.replace(bytes(1), b' ').decode()}")
    return found


@dataclass(frozen=True)
class Environment:
    """The folders, port and data of a test's stack, and the way to run verbs of infra with them."""

    paths: Paths
    port: int
    digits: Path

    @property
    def variables(self) -> dict[str, str]:
        """The environment variables of every command."""
        kept = {name: os.environ[name] for name in ("PATH", "HOME", "LANG") if name in os.environ}
        return kept | {
            "STAGEMAKER_STATE": str(self.paths.state),
            "STAGEMAKER_PROJECT": "stagemaker-e2e",  # so that a stack in containers is not taken for this one
            "PORT": str(self.port),
            "DATA": str(self.digits),
            "COLUMNS": "200",
            "PYTHONDONTWRITEBYTECODE": "1",
        }

    @property
    def host(self) -> Host:
        """The host that runs the stack of this environment."""
        return hosts.choose(docker=False, environ=self.variables)

    def start(self, *arguments: str, **more: str) -> "subprocess.Popen[str]":
        """Starts a verb of infra as the Makefile does; `more` are further variables."""
        return subprocess.Popen(
            [str(CLIENT), "-m", "infra", *arguments],
            cwd=CHECKOUT,
            env=self.variables | more,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def run(self, *arguments: str, **more: str) -> tuple[int, str]:
        """Runs a verb of infra to its end. Returns its exit code and all that it printed."""
        with self.start(*arguments, **more) as process:
            output, _ = process.communicate(timeout=600)
            return process.returncode, output


def accuracy(output: str) -> float:
    """The accuracy, 0 to 1, that the demo printed."""
    found = re.search(r"([0-9.]+)% of \d+ test photos right", output)
    assert found, output
    return float(found[1]) / 100

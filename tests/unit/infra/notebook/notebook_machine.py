"""A machine for the scripts of the notebook instance: every program that they call and that a test machine lacks is a
small shell script. S3 is a folder, and boto3 a module that knows it."""

import base64
import json
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from infra.blueprint import Blueprint
from infra.notebook.lifecycle import on_create, on_start
from infra.notebook.settings import NotebookSettings
from infra.paths import CHECKOUT
from infra.settings import DeploymentSettings

BLUEPRINT = Blueprint(DeploymentSettings(project="dogs"), "123456789012", "ab" * 32)
LIMIT_S = 60.0
PACKAGES = ("ipykernel", "matplotlib", "PIL", "sagemaker")
_PROGRAMS = {
    "python3": 'exec "$PYTHON" "$@"\n',
    # `-m venv <folder>` makes a Python whose pip brings the packages.
    "python3.13": r"""
echo "python3.13 $*" >>"$MACHINE/calls"
mkdir -p "$3/bin"
cat >"$3/bin/python" <<'END'
#!/bin/bash
folder=$(dirname "$0")
if [[ $1 == -c ]]; then [[ -e $folder/installed ]]; exit; fi
echo "pip ${*:3}" >>"$MACHINE/calls"
[[ ! -e $MACHINE/refuse-pip ]] || { echo 'a hash is another' >&2; exit 1; }
touch "$folder/installed"
END
chmod +x "$3/bin/python"
""",
    "sudo": 'echo "sudo ${*:1:3}" >>"$MACHINE/calls"; exec "${@:4}"\n',
    "git": r"""
echo "git $*" >>"$MACHINE/calls"
[[ ! -e $MACHINE/refuse-git ]] || { echo 'no such repository' >&2; exit 128; }
[[ $1 != clone ]] || mkdir -p "$4"
""",
    "chown": 'echo "chown $*" >>"$MACHINE/calls"\n',
}
_BOTO3 = """
import io, os, pathlib
machine = pathlib.Path(os.environ["MACHINE"])
class client:
    def __init__(self, service, region_name):
        self.region = region_name
    def get_object(self, Bucket, Key):
        return {"Body": io.BytesIO((machine / "s3" / Bucket / Key).read_bytes())}
"""


class NotebookMachine:
    """One instance. Its image has boto3, and with `packages` all that the notebook imports."""

    def __init__(self, folder: Path, settings: NotebookSettings, *, packages: bool = False) -> None:
        self.folder, self.settings = folder, settings
        self.volume, self.home, self.conda = folder / "volume", folder / "home", folder / "home" / "conda"
        self.kernel_file = self.home / ".local/share/jupyter/kernels/stagemaker/kernel.json"
        self._log = folder / "idle.log"
        programs, modules = folder / "bin", folder / "modules"
        for path in (self.volume, self.home, programs, modules):
            path.mkdir()
        for name, text in _PROGRAMS.items():
            (programs / name).write_text(f"#!/bin/bash\n{text}")
            (programs / name).chmod(0o755)
        (modules / "boto3.py").write_text(_BOTO3)
        for name in PACKAGES if packages else ():
            (modules / name).mkdir()
            (modules / name / "__init__.py").touch()
            (modules / name / "train.py").touch()
        bucket = folder / "s3" / BLUEPRINT.bucket / "notebook"
        bucket.mkdir(parents=True)
        shutil.copy(CHECKOUT / "notebooks" / "train_and_deploy.ipynb", bucket)
        (bucket / "requirements.txt").write_text("a==1 --hash=sha256:00\n")
        self._variables = {
            "PATH": f"{programs}:/usr/bin:/bin",
            "HOME": str(self.home),
            "MACHINE": str(folder),
            "PYTHON": sys.executable,
            "PYTHONPATH": str(modules),
            "LANG": "C.UTF-8",
        }

    def put(self, name: str) -> None:
        """An empty file, which a stand-in looks for."""
        (self.folder / name).touch()

    def create(self) -> "subprocess.CompletedProcess[str]":
        """Run OnCreate."""
        return self._run(on_create(BLUEPRINT, self.settings, str(self.volume), str(self.conda)))

    def start(self) -> "subprocess.CompletedProcess[str]":
        """Run OnStart."""
        return self._run(on_start(BLUEPRINT, self.settings, str(self.volume), str(self.conda), str(self._log)))

    def _run(self, script: str) -> "subprocess.CompletedProcess[str]":
        return subprocess.run(
            ["bash", "-c", script], env=self._variables, capture_output=True, text=True, timeout=LIMIT_S, check=False
        )

    @property
    def calls(self) -> list[str]:
        """What the stand-ins were called with."""
        path = self.folder / "calls"
        return path.read_text().splitlines() if path.exists() else []

    @property
    def install_log(self) -> str:
        """What the installation said."""
        path = self.volume / "stagemaker" / "install.log"
        return path.read_text() if path.exists() else ""

    def until(self, true: Callable[[], bool]) -> None:
        """Wait for what the scripts have left in the background."""
        end = time.monotonic() + LIMIT_S
        while not true():
            assert time.monotonic() < end, (self.calls, self.install_log)
            time.sleep(0.02)

    def kernel(self) -> dict[str, Any]:
        """The kernel that the installation makes at its end."""
        self.until(lambda: "The kernel runs" in self.install_log)
        found: dict[str, Any] = json.loads(self.kernel_file.read_text())
        return found


def script_of(content: str) -> str:
    """A script as the configuration has it."""
    return base64.b64decode(content).decode()


def processes_of(folder: Path) -> dict[int, bytes]:
    """The command lines of those that still run with the folder in their environment."""
    found = {}
    for path in Path("/proc").glob("[0-9]*"):
        try:
            if f"MACHINE={folder}".encode() in (path / "environ").read_bytes().split(b"\0"):
                found[int(path.name)] = (path / "cmdline").read_bytes()
        except OSError:  # it has ended
            continue
    return found

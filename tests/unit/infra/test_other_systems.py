"""What macOS needs: a client without Linux's own parts, and scripts for Bash 3.2. It never ran on macOS itself."""

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from infra import docker, images
from infra.clients import Target
from infra.paths import CHECKOUT

SCRIPTS = sorted(
    path for path in (CHECKOUT / "scripts").iterdir() if path.read_text().startswith("#!/usr/bin/env bash")
)
# What Bash learned after 3.2, which is macOS's.
NEWER = {
    "associative array or name reference": r"\b(declare|local|typeset)\s+-\w*[Ang]",
    "mapfile": r"\b(mapfile|readarray|coproc)\b",
    "change of case": r"\$\{\w+(\[[^]]*\])?(,,?|\^\^?)",
    "transformation": r"\$\{\w+(\[[^]]*\])?@[A-Za-z]\}",
    "wait -n": r"\bwait\s+-\w*n",
    "append of both outputs": r"&>>",
    "pipe of both outputs": r"\|&",
    "next case": r";;?&",
    "test of a variable": r"\[\[?[^]]*\s-v\s",
    "shopt": r"\bshopt\s+-s\s+.*(globstar|lastpipe|inherit_errexit)",
    "time in printf": r"%\([^)]*\)T",
    "time": r"\$\{?EPOCH(SECONDS|REALTIME)",
    "a negative index": r"\$\{\w+\[-\d",
    "a negative length": r"\$\{\w+:\s*\d+:\s*-",
    "a file descriptor in a variable": r"\{\w+\}[<>]",
    "read of a fraction of a second": r"\bread\b.*-t\s*0?\.\d",
}
# What GNU's tools have and BSD's have not.
GNU = (
    r"\bsed\s+-i\b(?!\s*'')|\breadlink\s+-f|\bdate\s+(-d|--)|\bstat\s+-c"
    r"|\bgrep\s+-\w*P|\bcp\s+-\w*t|\bsort\s+-V|\bxargs\s+-r"
)
# Packages may look into /proc: on macOS they know that there is none. They are imported as on this system.
LOOK = """
import sys, urllib.request
import PIL.Image, boto3, botocore.session, rich.console, rich.progress, rich.table, sklearn.datasets
sys.platform = "darwin"
def asker():
    frame = sys._getframe(2)
    while frame and ("site-packages" not in (name := frame.f_code.co_filename)) and (
        name.startswith("<frozen") or "/lib/python3" in name
    ):
        frame = frame.f_back
    return frame.f_code.co_filename if frame else ""
def audit(event, arguments):
    path = str(arguments[0]) if arguments and event not in ("compile", "exec", "import") else ""
    if path.startswith("/proc/") or event == "ctypes.dlsym" and "prctl" in str(arguments):
        if "site-packages" not in asker():
            raise RuntimeError(f"{event} {arguments}")
sys.addaudithook(audit)
sys.modules["infra.hosts.process"] = sys.modules["infra.processes"] = None  # whoever imports them fails
from infra import cli, hosts, verbs
from infra.errors import StepFailed
assert [host.images for host in hosts.every_host()] == [("localstack",)]
try:
    hosts.choose(docker=False)
except StepFailed as error:
    print(error.reason, error.next_step)
sys.exit(cli.main(["status"]))
"""


def test_the_client_for_containers_needs_nothing_of_linux(tmp_path: Path) -> None:
    environment = {"PATH": str(tmp_path), "HOME": str(tmp_path), "PORT": "4600"}
    command = [sys.executable, "-c", LOOK]
    done = subprocess.run(command, cwd=CHECKOUT, env=environment, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (1, "")
    assert done.stdout.splitlines() == [
        "Without Docker the stack runs on Linux only. Run it in containers: DOCKER=1 make demo",
        "Nothing runs: PORT=4600 make up",
    ]


@pytest.mark.parametrize("path", SCRIPTS, ids=lambda path: path.name)
def test_a_script_is_for_bash_3_2_and_the_tools_of_bsd(path: Path) -> None:
    lines = [line for line in path.read_text().splitlines() if not line.lstrip().startswith("#")]
    found = [(name, line) for name, pattern in NEWER.items() for line in lines if re.search(pattern, line)]
    assert not found
    assert not [line for line in lines if re.search(GNU, line)]


def test_the_makefile_is_for_make_3_81() -> None:
    text = (CHECKOUT / "Makefile").read_text()
    assert not re.search(
        r"^\.(ONESHELL|RECIPEPREFIX)|^\w+\s*(!=|::+=)|^undefine\b|^load\s|\$\((file|guile|intcmp|let)\s|&:", text, re.M
    )
    recipes = re.split(r"^\S", text, flags=re.M)
    assert max(len(re.findall(r"^\t", recipe, re.M)) for recipe in recipes) <= 3


@pytest.fixture
def setup(tmp_path: Path) -> Path:
    """A folder in which scripts/setup finds the environments that are installed here."""
    (tmp_path / "scripts").mkdir()
    (tmp_path / "scripts" / "setup").write_bytes((CHECKOUT / "scripts" / "setup").read_bytes())
    (tmp_path / "requirements").symlink_to(CHECKOUT / "requirements")
    (tmp_path / "plugin").symlink_to(CHECKOUT / "plugin")
    (tmp_path / ".stagemaker").mkdir()
    (tmp_path / ".stagemaker" / "env").symlink_to(CHECKOUT / ".stagemaker" / "env")
    return tmp_path


@pytest.mark.parametrize(
    ("system", "docker_variable", "environments", "code", "said"),
    [
        ("Darwin", "1", "", 0, ""),
        ("Darwin", "", "client", 0, ""),
        ("Linux", "1", "", 0, ""),
        ("Darwin", "0", "", 1, "DOCKER=1 make demo"),
        ("Darwin", "", "dev client", 1, "DOCKER=1 make demo"),
        ("MINGW64_NT-10.0", "1", "", 1, "WSL 2"),
    ],
)
def test_setup_by_system(
    setup: Path, system: str, docker_variable: str, environments: str, code: int, said: str
) -> None:
    (setup / "uname").write_text(f"#!/bin/sh\necho {system}\n")
    (setup / "uname").chmod(0o755)
    environment = {"PATH": f"{setup}:{os.environ['PATH']}", "HOME": str(setup), "DOCKER": docker_variable}
    command = ["bash", str(setup / "scripts" / "setup"), *environments.split()]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == code, done.stderr
    assert said in done.stderr
    assert done.stdout == "", "what is asked for is installed, and nothing else was"


@pytest.mark.parametrize(
    ("system", "address", "engine", "path"),
    [
        ("linux", "unix:///var/run/docker.sock", "Debian", "/var/run/docker.sock"),
        ("linux", "unix:///run/user/1000/docker.sock", "Debian", "/run/user/1000/docker.sock"),
        ("linux", "unix:///home/me/.docker/desktop/docker.sock", "Docker Desktop", "/var/run/docker.sock"),
        ("darwin", "unix:///Users/me/.docker/run/docker.sock", "Docker Desktop", "/var/run/docker.sock"),
        ("darwin", "unix:///Users/me/.colima/default/docker.sock", "Alpine", "/var/run/docker.sock"),
        ("linux", "tcp://127.0.0.1:2375", "Debian", "/var/run/docker.sock"),
    ],
)
def test_the_socket_that_a_container_mounts(
    monkeypatch: pytest.MonkeyPatch, system: str, address: str, engine: str, path: str
) -> None:
    monkeypatch.setattr(sys, "platform", system)
    monkeypatch.delenv("DOCKER_HOST", raising=False)
    monkeypatch.setattr(docker, "ask", lambda *words: address if words[0] == "context" else engine)
    assert docker.mounted_socket() == path


def test_docker_host_is_asked_before_the_context(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DOCKER_HOST", "tcp://here:1")
    assert docker.address() == "tcp://here:1"


@pytest.mark.parametrize(
    ("target", "engine", "built", "image"),
    [
        ("aws", "amd64", "", "stagemaker/serve:latest"),
        ("aws", "arm64", "amd64", "stagemaker/serve:latest-amd64"),
        ("local", "arm64", "", "stagemaker/serve:latest"),
        ("local", "amd64", "", "stagemaker/serve:latest"),
    ],
)
def test_images_are_built_for_amd64_where_aws_is_to_run_them(
    monkeypatch: pytest.MonkeyPatch, target: Target, engine: str, built: str, image: str
) -> None:
    asked = []

    def inspect(_kind: str, name: str) -> dict[str, Any]:
        asked.append(name)
        return {"Id": "sha256:0123456789", "Os": "linux", "Architecture": built or engine, "Config": {}}

    monkeypatch.setattr(docker, "architecture", lambda: engine)
    monkeypatch.setattr(docker, "inspect", inspect)
    assert images.architecture_for(target) == built
    images.chosen(["serve"], target, dirty=True)
    assert asked == [image]

"""The docker command, as a person would type it: what it answers, or why it cannot, in one sentence."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from infra.errors import StepFailed

LABEL = "com.stagemaker"  # on every image, container, network and volume that this project makes
_ANSWER_LIMIT_S = 120.0
_DEFAULT_SOCKET = "/var/run/docker.sock"
_QUESTIONS = (("version",), ("compose", "version"))
_WITHOUT = "Start or install Docker 26 or newer with compose v2 (docs.docker.com)" + (
    ", or do without: make demo" if sys.platform == "linux" else ""
)


def require_engine() -> None:
    """Raise StepFailed unless there is a Docker engine that answers, and compose v2."""
    if not shutil.which("docker"):
        raise StepFailed("The command `docker` was not found.", _WITHOUT)
    engine = _run("version", "--format", "{{.Server.Version}}")
    if engine.returncode:
        raise StepFailed("The Docker engine does not answer.", _WITHOUT, _tail(engine.stderr))
    major = engine.stdout.partition(".")[0]
    if major.isdecimal() and int(major) < 26:
        raise StepFailed(f"This Docker engine is version {engine.stdout.strip()}.", _WITHOUT)
    if _run("compose", "version").returncode:
        old = " (docker-compose is version 1, which has ended)" if shutil.which("docker-compose") else ""
        raise StepFailed(f"Docker has no `docker compose`{old}.", _WITHOUT)


def engine_answers() -> bool:
    """Whether there is an engine that answers, and compose."""
    return shutil.which("docker") is not None and not any(_run(*words).returncode for words in _QUESTIONS)


def ask(*arguments: str) -> str:
    """What the command prints. Raises StepFailed with its own words when it fails."""
    done = _run(*arguments)
    if done.returncode:
        raise StepFailed(f"`docker {' '.join(arguments)}` failed.", "Read what it says above.", _tail(done.stderr))
    return done.stdout.strip()


def address() -> str:
    """Where the command finds its engine: DOCKER_HOST, else what the context says, such as `unix:///run/docker.sock`."""
    return os.environ.get("DOCKER_HOST") or ask("context", "inspect", "--format", "{{.Endpoints.docker.Host}}")


def mounted_socket() -> str:
    """The path of the engine's socket on the engine's own machine, for a container that mounts it.

    Docker Desktop, and every engine on macOS, runs in a virtual machine: there it is the default path, whatever path
    the command uses outside. An engine without root on Linux has the path that the command uses."""
    scheme, _, path = address().partition("://")
    if scheme != "unix" or path == _DEFAULT_SOCKET or sys.platform != "linux":
        return _DEFAULT_SOCKET
    return _DEFAULT_SOCKET if ask("info", "--format", "{{.OperatingSystem}}") == "Docker Desktop" else path


def architecture() -> str:
    """The engine's, such as `amd64` or `arm64`."""
    return ask("version", "--format", "{{.Server.Arch}}")


def listed(kind: str, *filters: str) -> list[str]:
    """The ids of all containers, images, networks or volumes that pass every filter, such as `label=x`."""
    every = ("--all",) if kind == "container" else ()
    chosen = [word for one in filters for word in ("--filter", one)]
    return sorted(set(ask(kind, "ls", *every, "--quiet", *chosen).split()))


def remove(kind: str, ids: list[str]) -> int:
    """Delete them, running containers and tagged images too; how many. What is gone already is not counted."""
    force = () if kind == "network" else ("--force",)
    volumes = ("--volumes",) if kind == "container" else ()
    return sum(_run(kind, "rm", *force, *volumes, one).returncode == 0 for one in ids)


def inspect(kind: str, name: str) -> dict[str, Any] | None:
    """Everything about it, or None when there is none."""
    done = _run(kind, "inspect", name)
    found: list[dict[str, Any]] = json.loads(done.stdout or "[]")
    return found[0] if found else None


def forget(registry: str) -> int:
    """Take from images their names at a registry that is gone, such as `localhost:5000`; how many. Where they are an
    image's only tags they stay: it may be somebody's work."""
    lines = ask("image", "ls", "--no-trunc", "--format", "{{.ID}} {{.Repository}}").splitlines()
    found = 0
    for one in {one for one, _, name in (line.partition(" ") for line in lines) if name.startswith(f"{registry}/")}:
        image = inspect("image", one) or {}
        tags, digests = image.get("RepoTags") or [], image.get("RepoDigests") or []
        there = [name for name in (*tags, *digests) if name.startswith(f"{registry}/")]
        if not tags or set(tags) - set(there):
            found += remove("image", there)
    return found


def logs(container: str, lines: str) -> list[str]:
    """The last lines of its output."""
    done = _run("logs", "--tail", lines, container)
    return (done.stdout + done.stderr).splitlines()


def follow(arguments: list[str], folder: Path, environment: Mapping[str, str]) -> int:
    """Run it with its output on our terminal; its exit code. A Ctrl-C is ours to handle, not the command's."""
    return subprocess.run(
        ["docker", *arguments], cwd=folder, env=environment, check=False, start_new_session=True
    ).returncode


def _run(*arguments: str) -> "subprocess.CompletedProcess[str]":
    try:
        return subprocess.run(
            ["docker", *arguments], capture_output=True, text=True, timeout=_ANSWER_LIMIT_S, check=False
        )
    except subprocess.TimeoutExpired:
        message = f"The Docker engine did not answer `docker {arguments[0]}` within {_ANSWER_LIMIT_S:.0f} s."
        raise StepFailed(message, _WITHOUT) from None


def _tail(text: str) -> tuple[str, ...]:
    return tuple(text.strip().splitlines()[-5:])

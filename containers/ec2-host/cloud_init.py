"""Runs an instance's user data, as cloud-init does: once, as root, with its output in a file and on the console."""

import os
import shutil
import stat
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Sequence
from pathlib import Path

import yaml  # type: ignore[import-untyped]
from system import METADATA
from user_data import File, Script, UserData, read

LOG = Path("/var/log/cloud-init-output.log")
_INSTANCE = Path("/var/lib/cloud/instance")
_DONE = _INSTANCE / "sem/config_scripts_user"
_TRIES, _PAUSE_S = 120, 0.25  # until the relay answers
_SERVICE = f"http://{METADATA}/latest"


def main() -> None:
    """Do what the user data says, unless that was done at an earlier boot."""
    if _DONE.exists():
        return
    data = _fetch()
    _DONE.parent.mkdir(parents=True, exist_ok=True)
    (_INSTANCE / "user-data.txt").write_bytes(data)
    _DONE.touch()
    with LOG.open("ab", buffering=0) as log:
        output = _Output(log.fileno())
        asked = read(data, yaml.safe_load)
        for note in asked.notes:
            output.say(f"Stagemaker: {note}")
        _do(asked, output)
        output.say(f"Cloud-init finished at {time.strftime('%a, %d %b %Y %H:%M:%S +0000', time.gmtime())}.")


class _Output:
    """Both the file and the console."""

    def __init__(self, log: int) -> None:
        self._places = (log, sys.stdout.fileno())

    def say(self, line: str) -> None:
        """Write a line of our own."""
        self.write(f"{line}\n".encode())

    def write(self, data: bytes) -> None:
        """Write what a program has written."""
        for place in self._places:
            os.write(place, data)

    def run(self, command: Sequence[str]) -> int:
        """Its exit code. What it leaves in the background writes on until it ends, or until the host does."""
        with subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, cwd="/"
        ) as program:
            while program.stdout and (data := os.read(program.stdout.fileno(), 65536)):
                self.write(data)
        return program.returncode


def _fetch() -> bytes:
    """The user data, through the metadata service, as cloud-init asks it; none when the instance has none."""
    for _ in range(_TRIES):
        try:
            token = _ask("PUT", "/api/token", {"X-aws-ec2-metadata-token-ttl-seconds": "60"}).decode()
            return _ask("GET", "/user-data", {"X-aws-ec2-metadata-token": token})
        except urllib.error.HTTPError as error:
            if error.code == 404:
                return b""
            if error.code < 500:
                print(f"cloud-init: the metadata service answers {error.code}", flush=True)
                return b""
        except OSError:
            pass
        time.sleep(_PAUSE_S)
    print("cloud-init: the metadata service does not answer", flush=True)
    return b""


def _ask(method: str, path: str, headers: dict[str, str]) -> bytes:
    request = urllib.request.Request(f"{_SERVICE}{path}", method=method, headers=headers)  # noqa: S310 - it is http
    with urllib.request.urlopen(request, timeout=10) as answer:  # noqa: S310
        body: bytes = answer.read()
    return body


def _do(asked: UserData, output: _Output) -> None:
    for file in asked.files:
        try:
            _write(file)
        except (OSError, LookupError) as error:
            output.say(f"Failed to write {file.path}: {error}")
    scripts = list(asked.scripts)
    if asked.commands:
        content = "\n".join(["#!/bin/sh", *asked.commands, ""]).encode()
        scripts.insert(0, Script("runcmd", content))
    folder = _INSTANCE / "scripts"
    folder.mkdir(parents=True, exist_ok=True)
    for script in scripts:
        path = folder / script.name.replace("/", "_")
        path.write_bytes(script.content)
        path.chmod(stat.S_IRWXU)
        try:
            code = output.run([str(path)])
        except OSError as error:
            output.say(f"Failed to run {path}: {error}")
            continue
        if code:
            output.say(f"Failed to run {path}: it ended with {code}")


def _write(file: File) -> None:
    path = Path(file.path)
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("ab" if file.append else "wb") as written:
        written.write(file.content)
    path.chmod(file.mode)
    user, _, group = file.owner.partition(":")
    shutil.chown(path, user or "root", group or "root")


if __name__ == "__main__":
    main()

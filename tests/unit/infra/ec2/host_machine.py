"""A machine for the host's script: every program that it calls and that a test machine lacks is a small shell script.
S3 is a folder, and so are the metadata of the instance."""

import json
import os
import re
import signal
import subprocess
import tarfile
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType
from typing import Any

from infra.ec2.user_data import Run, user_data

RUN = Run(
    name="demo-0123456789",
    region="us-east-1",
    results="s3://bucket/models/ec2/demo-0123456789",
    image="123456789012.dkr.ecr.us-east-1.amazonaws.com/stagemaker/trainer@sha256:" + "ab" * 32,
    instance_type="m5.xlarge",
    limit_s=600,
    script=False,
    hyperparameters={"epochs": "2", "text": 'it\'s "$HOME"'},
    channels={"train": "s3://bucket/data/train/", "valid": "s3://bucket/data/valid/"},
)
INSTANCE = "i-0123456789abcdef0"
LIMIT_S = 60.0
_PROGRAMS = {
    "aws": r"""
path() { case $1 in s3://*) echo "$MACHINE/s3/${1#s3://}" ;; *) echo "$1" ;; esac; }
echo "aws $*" >>"$MACHINE/calls"
[[ ! -e $MACHINE/refuse-aws-"$2" ]] || { cat "$MACHINE/refuse-aws-$2" >&2; exit 1; }
[[ ! -e $MACHINE/slow-aws-checkpoints || $* != *.checkpoints* ]] || while :; do sleep 0.05; done
case "$1 $2" in
    "ecr get-login-password") echo secret ;;
    "s3 cp" | "s3 sync")
        shift 2
        places=()
        while (($#)); do
            case $1 in
                --exclude) shift ;;
                --*) ;;
                *) places+=("$(path "$1")") ;;
            esac
            shift
        done
        if [[ -d ${places[0]} ]]; then
            mkdir -p "${places[1]}" && cp -r "${places[0]}/." "${places[1]}"
        elif [[ -f ${places[0]} ]]; then
            mkdir -p "$(dirname "${places[1]}")" && cp "${places[0]}" "${places[1]}.part" &&
                mv "${places[1]}.part" "${places[1]}"
        fi ;;
esac
""",
    "curl": r"""
url=${!#}
[[ $* != *PUT* ]] || { echo token; exit; }
[[ $* == *'X-aws-ec2-metadata-token: token'* ]] || exit 22
cat "$MACHINE/metadata/${url#http://169.254.169.254/latest/meta-data/}" 2>/dev/null || exit 22
""",
    "docker": r"""
echo "docker $*" >>"$MACHINE/calls"
[[ ! -e $MACHINE/refuse-docker-$1 ]] || { echo "docker: $1 refused" >&2; exit 1; }
case $1 in
    login) [[ $(cat) == secret ]] ;;
    pull)
        touch "$MACHINE/pulling"
        while [[ -e $MACHINE/slow-pull ]]; do sleep 0.05; done ;;
    run)
        echo $$ >"$MACHINE/trainer.pid"
        exec bash "$MACHINE/trainer" ;;
    kill) kill -KILL "$(<"$MACHINE/trainer.pid")" ;;
esac
""",
    "shutdown": 'echo "$*" >>"$MACHINE/shutdown"\n',
    "nvidia-smi": '[[ -e $MACHINE/gpu ]]\n',
}  # fmt: skip


class HostMachine:
    """One machine, whose trainer is `trainer`, a text of bash that finds /opt/ml in $ML."""

    def __init__(self, folder: Path, trainer: str) -> None:
        self.folder, self.ml = folder, folder / "ml"
        self._process: subprocess.Popen[bytes] | None = None
        self._console: subprocess.Popen[bytes] | None = None
        for name, text in _PROGRAMS.items():
            program = folder / "bin" / name
            program.parent.mkdir(exist_ok=True)
            program.write_text(f"#!/bin/bash\n{text}")
            program.chmod(0o755)
        (folder / "trainer").write_text(f"set -e\nML={self.ml}\n{trainer}\n")
        for name, value in (
            ("instance-id", INSTANCE),
            ("instance-type", "m5.xlarge"),
            ("instance-life-cycle", "on-demand"),
        ):
            self.put(f"metadata/{name}", value)
        for split in ("train", "valid"):
            self.put(f"s3/bucket/data/{split}/cat/one.png", split)

    def put(self, name: str, text: str = "") -> Path:
        """Write a file of the machine, whole."""
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        partial = path.with_name(f".{path.name}")
        partial.write_text(text)
        return partial.replace(path)

    def boot(self, **changes: Any) -> None:
        """Run the user data until it has ended."""
        self.start(**changes)
        self.wait()

    def start(self, constants: Mapping[str, int] = MappingProxyType({}), **changes: Any) -> None:
        """Begin to run the user data of the run with these changes, and with these constants of the script."""
        text = user_data(replace(RUN, **changes), str(self.ml), str(self.folder / "log"), poll_s=0.1)
        for name, value in constants.items():
            text, found = re.subn(rf"^{name}=\d+", f"{name}={value}", text, flags=re.MULTILINE)
            assert found == 1, name
        script = self.put("user-data", text)
        environment = {"PATH": f"{self.folder / 'bin'}:{os.environ['PATH']}", "MACHINE": str(self.folder)}
        with open(self.folder / "console", "w") as console:
            self._console = subprocess.Popen(["cat"], stdin=subprocess.PIPE, stdout=console)
        assert self._console.stdin is not None
        with self._console.stdin as pipe:  # as cloud-init's own `tee`
            self._process = subprocess.Popen(
                ["bash", script], env=environment, stdout=pipe, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL,
                start_new_session=True,
            )  # fmt: skip

    def wait(self) -> None:
        """Until the user data has ended."""
        assert self._process is not None
        assert self._console is not None
        try:
            self._process.wait(LIMIT_S)
            self._console.wait(LIMIT_S)
        finally:
            for each in (self._process, self._console):
                each.kill()
                each.wait(LIMIT_S)

    def terminate(self) -> None:
        """What the system does to the user data when the instance is ended."""
        assert self._process is not None
        self._process.send_signal(signal.SIGTERM)

    def shut_down(self) -> None:
        """What the system does to all that still runs at the end of a shutdown, cloud-init first."""
        assert self._process is not None
        assert self._console is not None
        self._console.kill()
        self._console.wait(LIMIT_S)
        for each in Path("/proc").iterdir():
            with suppress(OSError, ValueError):
                if os.getsid(int(each.name)) == self._process.pid:
                    os.kill(int(each.name), signal.SIGTERM)

    def wait_for(self, name: str) -> None:
        """Until the machine has the file."""
        wait_until(lambda: (self.folder / name).exists())

    @property
    def results(self) -> Path:
        """What is in S3 of the run."""
        return self.folder / "s3" / RUN.results.removeprefix("s3://")

    @property
    def result(self) -> dict[str, Any]:
        """What the host said of itself."""
        found: dict[str, Any] = json.loads((self.results / INSTANCE / "result.json").read_text())
        return found

    @property
    def why(self) -> str:
        """Why it did not complete."""
        return (self.results / INSTANCE / "why").read_text()

    @property
    def log(self) -> str:
        """The host's log in S3."""
        return (self.results / INSTANCE / "host.log").read_text()

    @property
    def shutdowns(self) -> list[str]:
        """With what `shutdown` was called."""
        return (self.folder / "shutdown").read_text().splitlines()

    @property
    def calls(self) -> list[str]:
        """The calls of `aws` and `docker`."""
        return (self.folder / "calls").read_text().splitlines()

    def model(self) -> dict[str, str]:
        """The files of model.tar.gz in S3."""
        with tarfile.open(self.results / "output" / "model.tar.gz") as tar:
            return {one.name: tar.extractfile(one).read().decode() for one in tar if one.isfile()}  # type: ignore[union-attr]


def wait_until(condition: Callable[[], bool]) -> None:
    """Until the condition holds; fails after LIMIT_S."""
    deadline = time.monotonic() + LIMIT_S
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)

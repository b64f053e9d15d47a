"""Plan, deploy, second deploy and destroy of each preset on a stack of processes: seconds, and calls of AWS.

Each verb is a process, as `make` runs it. The calls are those that the log of LocalStack has, which also has what jobs
and endpoints ask. Processes train on one instance, and have no notebook instances: so do the presets here. The data are
360 small pictures, the training takes one epoch. A plan, and a second deploy, must not make a call that changes
anything: the log proves it. (Whether the stage has notebook instances, they ask by a call that is refused.)
"""

import os
import re
import subprocess
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from benchmarks.ports import free_port
from benchmarks.timing import write
from infra.hosts.process import ProcessHost
from infra.paths import CHECKOUT, Paths, paths

PRESETS = ("default", "a", "b", "c", "d", "e")
PER_CLASS = 36
STEPS: Mapping[str, tuple[str, ...]] = {
    "plan": ("plan", "--set=epochs=1"),
    "deploy": ("deploy", "--set=epochs=1"),
    "second deploy": ("deploy", "--set=epochs=1"),
    "destroy": ("destroy", "--yes"),
}
READING = ("BatchGet", "Describe", "Get", "Head", "List")
_CALL = re.compile(r" : AWS ([\w-]+)\.(\w+) => (\d+)")
_DIGITS = "import pathlib, sys; from infra.data import digits; digits.make(pathlib.Path(sys.argv[1]), int(sys.argv[2]))"


def main(_rounds: int) -> None:
    """Measures each preset once, and writes the figures. SystemExit for a verb that fails, and for one that changed
    what it must not."""
    with tempfile.TemporaryDirectory() as folder:
        places = paths({**os.environ, "STAGEMAKER_STATE": str(Path(folder) / "state")})
        python, data = str(places.environments / "client" / "bin" / "python"), Path(folder) / "digits"
        subprocess.run([python, "-c", _DIGITS, str(data), str(PER_CLASS)], cwd=CHECKOUT, check=True)
        host = ProcessHost(places, os.environ)
        running = host.start(free_port(), stays=False)
        try:
            environment = {**os.environ, "AWS_ENDPOINT_URL": running.endpoint, "DATA": str(data)}
            figures = {name: _preset(name, Path(folder), places, python, environment) for name in PRESETS}
        finally:
            host.stop()
    write("deploy", figures)


def _preset(
    name: str, folder: Path, places: Paths, python: str, environment: Mapping[str, str]
) -> dict[str, float | int]:
    text, preset = (CHECKOUT / "presets" / f"{name}.toml").read_text(), folder / f"{name}.toml"
    preset.write_text(text.replace("instances = 2", "instances = 1"))
    figures = dict[str, Any]()
    for step, arguments in STEPS.items():
        size, began_s = places.log.stat().st_size, time.perf_counter()
        command = [python, "-m", "infra", *arguments, "--preset", str(preset)]
        done = subprocess.run(command, cwd=CHECKOUT, env=environment, capture_output=True, text=True, check=False)
        took_s = time.perf_counter() - began_s
        if done.returncode:
            raise SystemExit(f"{step} of {name} failed: {done.stdout}{done.stderr}")
        log = places.log.read_bytes()[size:].decode(errors="replace")
        found, changed = calls(log), changing(log)
        if step in ("plan", "second deploy") and changed:
            raise SystemExit(f"{step} of {name} made calls that changed something: {', '.join(changed)}")
        figures |= {f"{step}, s": round(took_s, 1), f"{step}, calls": len(found)}
        figures |= {f"{step}, calls that changed something": len(changed)}
        print(f"  {name}: {step} {took_s:.1f} s, {len(found)} calls", flush=True)
    return figures


def calls(log: str) -> list[str]:
    """The operations that LocalStack's log says it has answered, such as `s3.PutObject`."""
    return [f"{service}.{operation}" for service, operation, _ in _CALL.findall(log)]


def changing(log: str) -> list[str]:
    """Those that are not for reading, and were not refused."""
    return [
        f"{service}.{operation}"
        for service, operation, status in _CALL.findall(log)
        if not operation.startswith(READING) and int(status) < 400
    ]

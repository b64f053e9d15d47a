"""Plan, deploy, second deploy and destroy of each preset on a stack of processes: seconds, and calls of AWS.

Each verb is a process, as `make` runs it. The calls are those that LocalStack's log has, also those of jobs and
endpoints. It is the deployment that is measured: the trainer is a program that ends at once, the server a tiny one, and
the data are 180 small pictures. Processes train on one instance, and have no notebook instances: so do the presets
here. A plan, and a second deploy, must not make a call that changes anything: the log proves it. (Whether the stage has
notebook instances, they ask by a call that is refused.)
"""

import os
import re
import subprocess
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from benchmarks.environment import process_stack_with_paths
from benchmarks.timing import write
from infra.paths import CHECKOUT, Paths

PRESETS = ("default", "a", "b", "c", "d", "e")
PER_CLASS = 18
STEPS: Mapping[str, tuple[str, ...]] = {
    "plan": ("plan",),
    "deploy": ("deploy",),
    "second deploy": ("deploy",),
    "destroy": ("destroy", "--yes"),
}
READING = ("BatchGet", "Describe", "Get", "Head", "List")
OF_THE_STAGE = (  # metrics, logs and alarms of jobs, endpoints, functions and their scaling
    "cloudwatch.PutMetricData", "cloudwatch.SetAlarmState", "logs.CreateLogGroup", "logs.CreateLogStream",
    "logs.PutLogEvents",
)  # fmt: skip
_CALL = re.compile(r" : AWS ([\w-]+)\.(\w+) => (\d+)")
_TRAIN = 'import os, pathlib; pathlib.Path(os.environ["SAGEMAKER_BASE_DIR"], "model", "weights").write_text("trained")'
_DIGITS = "import pathlib, sys; from infra.data import digits; digits.make(pathlib.Path(sys.argv[1]), int(sys.argv[2]))"


def main(_rounds: int) -> None:
    """Measures each preset once, and writes the figures. SystemExit for a verb that fails, and for one that changed
    what it must not."""
    with tempfile.TemporaryDirectory() as name, process_stack_with_paths() as (_, places):
        folder, data = Path(name), Path(name) / "digits"
        (places.images / "trainer" / "train").write_text(_TRAIN)
        python = str(places.environments / "client" / "bin" / "python")
        subprocess.run([python, "-c", _DIGITS, str(data), str(PER_CLASS)], cwd=CHECKOUT, check=True)
        figures = {preset: _preset(preset, folder, places, [python, "-m", "infra"], data) for preset in PRESETS}
    write("deploy", figures)


def _preset(name: str, folder: Path, places: Paths, infra: list[str], data: Path) -> dict[str, Any]:
    text, preset = (CHECKOUT / "presets" / f"{name}.toml").read_text(), folder / f"{name}.toml"
    preset.write_text(text.replace("instances = 2", "instances = 1"))
    figures = dict[str, Any]()
    for step, arguments in STEPS.items():
        size, began_s = places.log.stat().st_size, time.perf_counter()
        command, environment = [*infra, *arguments, "--preset", str(preset)], {**os.environ, "DATA": str(data)}
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
    """Those that are not for reading, were not refused, and do not only say how jobs, endpoints and functions do."""
    taken = [(f"{service}.{operation}", operation) for service, operation, status in _CALL.findall(log) if status < "4"]
    return [name for name, operation in taken if not operation.startswith(READING) and name not in OF_THE_STAGE]

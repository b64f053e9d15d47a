"""Measures times in turn, and writes the figures with the command and the machine that they come from."""

import importlib.metadata
import json
import os
import platform
import re
import shlex
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from benchmarks import history
from benchmarks.history import RESULTS as RESULTS
from benchmarks.history import Run

CPU_FLAGS = ("avx2", "avx512f", "avx512_vnni", "avx512_bf16", "amx_bf16", "amx_int8")


def in_turn(rounds: int, timed: Mapping[str, Callable[[], object]]) -> dict[str, list[float]]:
    """The seconds of each call in each round. The calls take turns, so that other load on the machine affects all
    alike.

    One round before the first is not counted: it fills the caches for all of them."""
    seconds: dict[str, list[float]] = {name: [] for name in timed}
    for number in range(rounds + 1):
        for name, call in timed.items():
            took = once(call)
            print(f"  {'warm-up' if number == 0 else f'round {number}'}: {name} {took:.2f} s", flush=True)
            if number:
                seconds[name].append(took)
    return seconds


def once(call: Callable[[], object]) -> float:
    """The seconds that the call takes. A call that returns a float has measured itself, and its figure is taken."""
    began = time.perf_counter()
    returned = call()
    return returned if isinstance(returned, float) else time.perf_counter() - began


def summary(seconds: list[float]) -> dict[str, float]:
    """Median, lowest and highest, in seconds."""
    return {
        "median_s": round(statistics.median(seconds), 3),
        "min_s": round(min(seconds), 3),
        "max_s": round(max(seconds), 3),
        "rounds": len(seconds),
    }


def write(
    scenario: str,
    figures: Mapping[str, Any],
    *,
    spreads: Mapping[str, float] | None = None,
    packages: Mapping[str, str] | None = None,
) -> None:
    """Keeps the figures as one more run (`benchmarks.history`) and prints them. `spreads` is half of the range over the
    rounds, in parts of the number, of measures (`benchmarks.measures`) whose figures do not tell it; `packages` are
    versions of what ran in other environments than this process."""
    command = shlex.join(["python", "-m", "benchmarks", *sys.argv[1:]])
    here = machine()
    here["packages"] |= packages or {}
    path = history.save(Run(scenario, command, here, figures, spreads or {}))
    print(json.dumps(figures, indent=2))
    print(f"written to {path}; `python -m benchmarks page` brings docs/benchmarks.md and its picture up to date")


def machine() -> dict[str, Any]:
    """What the figures depend on. The load average shows whether other processes were busy."""
    return {
        "when": datetime.now(UTC).isoformat(timespec="seconds"),
        "revision": _output_of("git", "describe", "--always", "--dirty"),
        "cpu": cpu(),
        "cores": os.cpu_count(),
        "memory_gib": round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30, 1),
        "kernel": platform.release(),
        "python": platform.python_version(),
        "packages": packages(),
        "docker": _output_of("docker", "version", "--format", "{{.Server.Version}}"),
        "load_average": [round(load, 2) for load in os.getloadavg()],
    }


def cpu(cpuinfo: Path = Path("/proc/cpuinfo")) -> dict[str, Any]:
    """The model of the CPU, and those of its instructions that decide how fast a network runs; nothing where the system
    does not tell."""
    text = cpuinfo.read_text() if cpuinfo.exists() else ""
    model = re.search(r"^model name\s*: (.*)$", text, re.MULTILINE)
    flags = re.findall(rf"\b({'|'.join(CPU_FLAGS)})\b", text)
    return {"model": model[1] if model else "", "flags": sorted(set(flags))}


def packages() -> dict[str, str]:
    """The versions of the packages that this process has loaded."""
    loaded = {name.split(".")[0] for name in sys.modules}
    by_module = importlib.metadata.packages_distributions()
    names = {name for module in loaded for name in by_module.get(module, [])}
    return {name: importlib.metadata.version(name) for name in sorted(names)}


def _output_of(*command: str) -> str:
    return subprocess.run(command, capture_output=True, text=True, check=False).stdout.strip()

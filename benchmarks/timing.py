"""Measures times in turn, and writes the figures with the command and the machine that they come from."""

import json
import os
import platform
import shlex
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

RESULTS = Path(__file__).parent / "results"


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


def write(scenario: str, figures: Mapping[str, Any]) -> None:
    """Writes the figures to results/<scenario>.json and prints them."""
    command = shlex.join(["python", "-m", "benchmarks", *sys.argv[1:]])
    found = {"scenario": scenario, "command": command, "machine": machine(), "figures": figures}
    RESULTS.mkdir(exist_ok=True)
    path = RESULTS / f"{scenario}.json"
    path.write_text(json.dumps(found, indent=2) + "\n")
    print(json.dumps(figures, indent=2))
    print(f"written to {path}")


def machine() -> dict[str, Any]:
    """What the figures depend on. The load average shows whether other processes were busy."""
    return {
        "when": datetime.now(UTC).isoformat(timespec="seconds"),
        "revision": _output_of("git", "describe", "--always", "--dirty"),
        "cores": os.cpu_count(),
        "memory_gib": round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30, 1),
        "kernel": platform.release(),
        "python": platform.python_version(),
        "docker": _output_of("docker", "version", "--format", "{{.Server.Version}}"),
        "load_average": [round(load, 2) for load in os.getloadavg()],
    }


def _output_of(*command: str) -> str:
    return subprocess.run(command, capture_output=True, text=True, check=False).stdout.strip()

"""What the people did by hand, and what a rehearsal did, step by step. Pure, but for `read`."""

import tomllib
from collections.abc import Mapping
from pathlib import Path

from infra.rehearse.section import Section, Table

TABLE = Path(__file__).with_name("by_hand.toml")
STEPS: Mapping[str, str] = {
    "notebook": "Notebook",
    "data": "Data",
    "tuning": "Tuning",
    "training": "Training",
    "endpoints": "Endpoints",
    "ec2": "EC2 host",
    "function": "Function",
    "permissions": "Permissions",
    "concurrency": "Concurrency of the function",
    "scaling": "Scaling",
    "clean_up": "Clean-up",
}


def read() -> dict[str, dict[str, str]]:
    """For each system, by its letter, what its author did at each of the STEPS that they told."""
    found: dict[str, dict[str, str]] = tomllib.loads(TABLE.read_text(encoding="utf-8"))
    return found


def beside(by_hand: Mapping[str, str], here: Mapping[str, str]) -> Section:
    """The table of both. A step of which neither tells anything is left out."""
    told = [key for key in STEPS if key in by_hand or key in here]
    rows = tuple((STEPS[key], by_hand.get(key, "not told"), here.get(key, "not rehearsed")) for key in told)
    return Section("By hand, and here", tables=(Table(("Step", "By hand", "Here"), rows),))

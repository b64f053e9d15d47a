"""The trainer's program as a process, on a folder like SageMaker's /opt/ml."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

TRAINER = Path(__file__).parents[3] / "containers" / "trainer"
SMALL = {"weights": "none", "image-size": "32", "epochs": "2", "batch-size": "8"}


def settings(base: Path, name: str, content: Any) -> None:
    """Write a file of the job's configuration."""
    (base / "input" / "config" / f"{name}.json").write_text(json.dumps(content))


def start(base: Path, **more: str) -> subprocess.Popen[str]:
    """The program, running; `more` are variables of its environment."""
    own = {"SAGEMAKER_BASE_DIR": str(base), "PYTHONPATH": str(base / "first"), "OMP_NUM_THREADS": "1"}
    environment = os.environ | own | more
    pipe = subprocess.PIPE
    return subprocess.Popen(
        [sys.executable, str(TRAINER / "train")], stdout=pipe, stderr=pipe, text=True, env=environment
    )

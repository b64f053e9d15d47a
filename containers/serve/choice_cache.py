"""Keeps which engine was chosen for a model on this machine, so that a restart need not measure again.

The folder may be a volume that many machines share, or lie in /tmp, where others write: an entry is read only when this
user wrote it, for this very model, CPU, number of threads and releases of the engines. An entry can only name a choice
that the server would measure, never code or a compiled graph.
"""

import hashlib
import json
import os
import stat
import tempfile
from collections.abc import Collection
from dataclasses import asdict
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from containers.serve.engines import EngineChoice
from ml.artifact import CARD_FILE, INT8_FILE, ONNX_FILE

_FORM = "stagemaker-engine/1"  # raise the number when the way of measuring changes
_MAX_BYTES = 65_536
_PACKAGES = ("onnxruntime", "openvino")


def key(folder: Path, threads: int, cpu: str) -> str:
    """The digest of everything that a choice depends on: the model in `folder`, the CPU (cpu_text), the threads and the
    releases of the engines. Raises OSError."""
    digest = hashlib.sha256(json.dumps([_FORM, threads, cpu, [_version(name) for name in _PACKAGES]]).encode())
    files = [folder / name for name in (ONNX_FILE, CARD_FILE, INT8_FILE)]
    for path in files[:2] + [path for path in files[2:] if path.is_file()]:
        with path.open("rb") as file:
            digest.update(hashlib.file_digest(file, "sha256").digest())
    return digest.hexdigest()


def cpu_text(path: Path = Path("/proc/cpuinfo")) -> str:
    """What the system says about the kind and the instructions of this CPU; empty where it says nothing."""
    names = ("model name", "flags", "Features", "CPU part")
    try:
        lines = path.read_text().splitlines()
    except OSError:
        return ""
    return "\n".join(sorted({line for line in lines if line.startswith(names)}))


def read(folder: Path, wanted: str, allowed: Collection[EngineChoice]) -> EngineChoice | None:
    """The choice of the entry `wanted` (key()). None when there is no entry, or one that is broken, that another user
    wrote, or that names a choice which is not allowed."""
    path = _path(folder, wanted)
    try:
        # Neither a link is followed, nor a pipe waited for, that others have put there.
        with open(os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK), "rb") as file:
            status = os.fstat(file.fileno())
            if status.st_uid != os.geteuid() or not stat.S_ISREG(status.st_mode):
                return None
            entry = json.loads(file.read(_MAX_BYTES))
        choice = EngineChoice(**entry["choice"])
        return choice if entry["key"] == wanted and choice in allowed else None
    except (OSError, ValueError, TypeError, KeyError, RecursionError):
        return None


def write(folder: Path, wanted: str, choice: EngineChoice) -> None:
    """Keeps the choice as the entry `wanted`, whole or not at all. Raises OSError."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    descriptor, partial = tempfile.mkstemp(prefix=".partial-", dir=folder)
    try:
        with os.fdopen(descriptor, "w") as file:
            json.dump({"key": wanted, "choice": asdict(choice)}, file)
        Path(partial).replace(_path(folder, wanted))
    except BaseException:
        Path(partial).unlink(missing_ok=True)
        raise


def _path(folder: Path, wanted: str) -> Path:
    return folder / f"{wanted}.json"


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return ""

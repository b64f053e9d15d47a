"""One safetensors file of tensors and texts by name, written and read as a whole: checkpoints and features are kept so.

A reader sees the old file or the new one, never a mixture.
"""

import os
from collections.abc import Mapping
from pathlib import Path

from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor


class BrokenFile(Exception):
    """The file cannot be read; the message is the reader's reason."""


def write(path: Path, tensors: Mapping[str, Tensor], header: Mapping[str, str]) -> None:
    """Replaces the file in one step, after the new one is complete on disk. Makes its folder."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.name}.partial")
    save_file({name: value.detach().cpu().contiguous() for name, value in tensors.items()}, partial, dict(header))
    partial.chmod(0o644)  # safetensors makes it readable to its owner only
    with partial.open("rb") as file:
        os.fsync(file.fileno())
    partial.replace(path)


def read(path: Path) -> tuple[dict[str, str], dict[str, Tensor]]:
    """The header and the tensors of the file. Raises BrokenFile."""
    try:
        with safe_open(path, framework="pt") as file:
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - `file` is not a dict
            return file.metadata() or {}, tensors
    except (SafetensorError, OSError) as error:
        raise BrokenFile(str(error)) from error

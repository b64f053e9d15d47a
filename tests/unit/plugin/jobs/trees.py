"""Folders of small text files."""

from collections.abc import Mapping
from pathlib import Path


def make(folder: Path, files: Mapping[str, str]) -> Path:
    """Write each text under its path below `folder`."""
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    return folder


def read(folder: Path) -> dict[str, str]:
    """Path and text of each file."""
    return {path.relative_to(folder).as_posix(): path.read_text() for path in folder.rglob("*") if path.is_file()}

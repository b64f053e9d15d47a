"""Small data sets for tests."""

import io
from pathlib import Path

from PIL import Image
from rich.console import Console

from infra.data.layout import SPLITS
from infra.terminal import Terminal


def quiet() -> Terminal:
    """A terminal that nobody reads."""
    return Terminal(Console(file=io.StringIO(), width=120))


def text_of(terminal: Terminal) -> str:
    """What was written to a quiet terminal."""
    file = terminal.console.file
    assert isinstance(file, io.StringIO)
    return file.getvalue()


def write_photo(path: Path, side: int = 8, shade: int = 0) -> Path:
    """A grey square."""
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", (side, side), (shade, shade, shade)).save(path)
    return path


def write_set(folder: Path, classes: tuple[str, ...] = ("cat", "dog"), each: int = 2) -> Path:
    """A right data set: `each` photos of every class in every split."""
    for split in SPLITS:
        for label in classes:
            for index in range(each):
                write_photo(folder / split / label / f"{label}{index}.png", shade=index)
    return folder

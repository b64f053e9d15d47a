"""Reads the repository's Python files without running them, for the tests that check rules over all files."""

import ast
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def sources(folder: str) -> list[Path]:
    """Every Python file below a folder, including the programs `train` and `serve`, whose names have no ending."""
    return sorted(
        path
        for path in (ROOT / folder).rglob("*")
        if path.is_file() and (path.suffix == ".py" or path.name in ("train", "serve"))
    )


def imports(path: Path) -> Iterator[str]:
    """The full dotted names of all that a file imports, also inside functions. Fails for a relative import."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            yield node.module or ""
            yield from (f"{node.module}.{alias.name}" for alias in node.names)

"""Deletes what left_out.toml names from the packages that are installed, so that an image does not carry it.

A step of a Dockerfile runs it after its installation: `python left_out.py <package> ...`. It fails when a pattern
matches nothing, so that somebody looks at a new release of a package before it is shipped.
"""

import platform
import shutil
import sys
import sysconfig
import tomllib
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

LIST = Path(__file__).with_suffix(".toml")
KNOWN_MACHINE = "x86_64"  # ours: the list was made on it


@dataclass(frozen=True)
class Part:
    """Files that no run loads: `paths` are patterns below site-packages, `megabytes` what they took on that day."""

    package: str
    paths: tuple[str, ...]
    megabytes: int
    why: str


def parts(text: str) -> list[Part]:
    """The parts of left_out.toml."""
    return [Part(**{**each, "paths": tuple(each["paths"])}) for each in tomllib.loads(text)["part"]]


def leave_out(listed: list[Part], packages: Iterable[str], site: Path, machine: str) -> list[str]:
    """Delete the parts of these packages below `site`, and give a line for each.

    Raises SystemExit, before anything is deleted, for a package that the list does not have and for a pattern that
    matches nothing. On another machine than the one the list was made on, such a pattern is passed over.
    """
    wanted = [(part, pattern) for name in packages for part in _of(listed, name) for pattern in part.paths]
    found = {pattern: sorted(site.glob(pattern)) for _, pattern in wanted}
    missing = [pattern for pattern, paths in found.items() if not paths]
    if missing and machine == KNOWN_MACHINE:
        raise SystemExit(f"left_out.toml names what is not in {site}: {', '.join(missing)}. Look at the new release.")
    lines = []
    for part, pattern in wanted:
        size = sum(_delete(path) for path in found[pattern])
        lines.append(f"left out: {pattern} {size / 1e6:.1f} MB ({part.package})")
    return lines


def _of(listed: list[Part], package: str) -> list[Part]:
    found = [part for part in listed if part.package == package]
    if not found:
        raise SystemExit(f"left_out.toml has no package {package}")
    return found


def _delete(path: Path) -> int:
    """Delete a file or a folder; its size in bytes. One that went with a folder above it has none."""
    files = [path] if path.is_file() else [each for each in path.rglob("*") if each.is_file()]
    size = sum(each.lstat().st_size for each in files)
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)
    return size


if __name__ == "__main__":
    for line in leave_out(
        parts(LIST.read_text()), sys.argv[1:], Path(sysconfig.get_path("purelib")), platform.machine()
    ):
        print(line)

"""What a job leaves behind: the archives that go to S3 whole or not at all, and what has changed in a folder."""

import os
import tarfile
from collections.abc import Iterator, Sequence
from pathlib import Path

from stagemaker.jobs.kind import FAILURE_CHARS

_GZIP_LEVEL = 1  # weights hardly compress: higher levels cost seconds and save nothing


def read_failure(base: Path) -> str:
    """The start of what the container wrote to output/failure; empty when it wrote nothing that can be read."""
    path = inside(base, "output/failure")
    if path is None or not path.is_file():
        return ""
    try:
        with path.open(errors="replace") as file:
            return file.read(FAILURE_CHARS).strip()
    except OSError:
        return ""


def inside(base: Path, name: str) -> Path | None:
    """The real path of `name` in `base`; None when there is none, or when a link of the container's leads out of it:
    what lies there is not the container's to read."""
    try:
        found = (base / name).resolve(strict=True)
    except (OSError, RuntimeError):  # a loop of links
        return None
    return found if found.is_relative_to(base.resolve()) else None


def pack(folders: Sequence[Path], archive: Path) -> bool:
    """Write the contents of `folders` as one .tar.gz that appears whole or not at all; False when there is nothing.

    Of the same path in several folders the first one's is taken, and folders are joined; AWS documents no order."""
    members = _joined(folders)
    if members:
        partial = archive.with_suffix(".partial")
        # A stream, since Python's gzip file object leaks its buffer when the disk is full.
        with tarfile.open(str(partial), "w|gz", compresslevel=_GZIP_LEVEL) as tar:
            for name, path in sorted(members.items()):
                tar.add(path, arcname=name.as_posix(), recursive=False)
        partial.replace(archive)
    return bool(members)


def files(folders: Sequence[Path]) -> dict[str, Path]:
    """The files that `pack` would write, by the names that they have in all folders together. A link to a file of the
    same folder is that file; other links are left out, and so is what is no file."""
    found: dict[str, Path] = {}
    for name, path in sorted(_joined(folders).items()):
        folder = path.parents[len(name.parts) - 1]
        target = inside(folder, name.as_posix())
        if target is not None and target.is_file():
            found[name.as_posix()] = target
    return found


class Changes:
    """What in a folder is new or changed since it was last asked for. Names that are no UTF-8 are as Python's os has
    them. A folder that its program replaces by a link is empty: the link may lead out of the container."""

    def __init__(self, folder: Path) -> None:
        self.folder, self._real = folder, os.path.realpath(folder)
        self._seen = dict(self._files())
        self.names = set(self._seen)  # when it was last asked for

    def take(self) -> list[str]:
        """Paths relative to the folder. A file that disappears meanwhile is left out."""
        files = dict(self._files())
        changed = [name for name, state in files.items() if self._seen.get(name) != state]
        self._seen, self.names = files, set(files)
        return changed

    def put_back(self, name: str) -> None:
        """Have the next `take` return it again, if it is still there."""
        self._seen.pop(name, None)

    def path(self, name: str) -> Path | None:
        """The real path of the file; None when there is none, or when a link leads to it from out of the folder."""
        found = inside(self.folder, name)
        return found if found and found.is_relative_to(self._real) else None

    def _files(self) -> Iterator[tuple[str, tuple[int, int]]]:
        if os.path.realpath(self.folder) != self._real:
            return
        for path in sorted(self.folder.rglob("*")):
            name = path.relative_to(self.folder).as_posix()
            try:
                found = self.path(name)
                if found and found.is_file():
                    state = found.stat()
                    yield name, (state.st_mtime_ns, state.st_size)
            except OSError:  # its program has just renamed or deleted it, or a folder above it
                continue


def _joined(folders: Sequence[Path]) -> dict[Path, Path]:
    """Where each path below the folders is: in the first that has it."""
    members: dict[Path, Path] = {}
    for folder in folders:
        for path in sorted(folder.rglob("*")):
            name = path.relative_to(folder)
            if not any(_is_leaf(members.get(parent)) for parent in name.parents):
                members.setdefault(name, path)
    return members


def _is_leaf(path: Path | None) -> bool:
    return path is not None and (path.is_symlink() or not path.is_dir())

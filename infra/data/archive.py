"""Unpacks a zip archive from the internet: nothing outside the folder, no links, no bombs, every CRC checked.

Files that ml/photos.py leaves out everywhere, such as those of macOS in `__MACOSX`, are not unpacked.
"""

import shutil
import stat
import zipfile
import zlib
from pathlib import Path, PurePosixPath

from infra.errors import StepFailed
from infra.terminal import Terminal
from ml.photos import is_left_out

MAX_BYTES = 20 << 30  # of all files together, unpacked
MAX_FILES = 1_000_000


def unpack(archive: Path, folder: Path, terminal: Terminal) -> None:
    """Unpack `archive` into `folder`. Raises StepFailed at the first member that must not be or is broken."""
    try:
        with zipfile.ZipFile(archive) as source:
            _check(source.infolist())
            members = [member for member in source.infolist() if not any(map(is_left_out, _path(member).parts))]
            with terminal.bar("unpacking", len(members)) as advance:
                for member in members:
                    _extract(source, member, folder)
                    advance(1)
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError) as error:
        raise StepFailed(f"{archive} is not a whole zip archive: {error}.", "Delete it and fetch it again.") from error


def _check(members: list[zipfile.ZipInfo]) -> None:
    if len(members) > MAX_FILES or sum(member.file_size for member in members) > MAX_BYTES:
        raise StepFailed(f"The archive would unpack to more than {MAX_BYTES >> 30} GiB.", "Check the address.")
    for member in members:
        path = _path(member)
        if path.is_absolute() or ".." in path.parts or ":" in path.as_posix():
            raise StepFailed(
                f"The archive holds {member.filename!r}, which leads out of its folder.", "Do not trust it."
            )
        if stat.S_ISLNK(member.external_attr >> 16):
            raise StepFailed(f"The archive holds a link, {member.filename!r}.", "Do not trust it.")


def _path(member: zipfile.ZipInfo) -> PurePosixPath:
    return PurePosixPath(member.filename.replace("\\", "/"))


def _extract(source: zipfile.ZipFile, member: zipfile.ZipInfo, folder: Path) -> None:
    target = folder / _path(member)
    if member.is_dir():
        target.mkdir(parents=True, exist_ok=True)
        return
    target.parent.mkdir(parents=True, exist_ok=True)
    with source.open(member) as packed, open(target, "wb") as file:  # reading to the end checks the CRC
        shutil.copyfileobj(packed, file, 1 << 20)

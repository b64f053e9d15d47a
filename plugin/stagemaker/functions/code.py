"""Unpacking a function's zip file: nothing outside its folder is written, or has its mode changed.

In place of LocalStack's unzip, which gives whatever a member's name or a link leads to the member's mode: the engine's
socket, in LocalStack's container, or a private key.
"""

import stat
import zipfile
import zlib
from pathlib import Path, PurePosixPath

from stagemaker.core.archive import MAX_MEMBERS, BadArchive, naming
from stagemaker.core.disk import explain, is_full
from stagemaker.core.text import printable

_PATH_BYTES = 4096


def unzip_code(archive: str, folder: str) -> None:
    """Unpack it into `folder`, with links that stay inside. A member takes no more than the size that its head says,
    of which LocalStack has checked the sum. Raises BadArchive, or OSError when the disk is full."""
    try:
        with zipfile.ZipFile(archive) as content:
            members = content.infolist()
            if len(members) > MAX_MEMBERS:
                raise BadArchive(f"The function's code has more than {MAX_MEMBERS:,} files.")
            for member in members:
                with naming(f"'{printable(member.filename)}' in the function's code"):
                    _unpack(content, member, Path(folder))
    except (zipfile.BadZipFile, zlib.error, EOFError, OSError, RuntimeError, ValueError) as error:
        if isinstance(error, BadArchive) or is_full(error):
            raise
        raise BadArchive(f"The function's code cannot be unpacked: {explain(error)}.") from error


def _unpack(content: zipfile.ZipFile, member: zipfile.ZipInfo, folder: Path) -> None:
    is_link = stat.S_ISLNK(member.external_attr >> 16)
    link = content.open(member).read(_PATH_BYTES).decode() if is_link else ""
    if any(name.startswith("/") or ".." in PurePosixPath(name).parts for name in (member.filename, link)):
        raise BadArchive(f"'{printable(member.filename)}' in the function's code leads out of its folder.")
    if is_link:
        path = folder / member.filename
        path.parent.mkdir(parents=True, exist_ok=True)
        path.symlink_to(link)
    else:
        content.extract(member, folder)

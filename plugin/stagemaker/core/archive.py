"""Unpacking an archive that somebody else made: nothing lands outside the folder, and it does not fill the disk."""

import tarfile
import zlib
from pathlib import Path, PurePosixPath

from stagemaker.core.disk import is_full

MAX_MEMBERS = 100_000  # (ours)


class BadArchive(ValueError):
    """The archive cannot be unpacked; the message is one clear sentence."""


def unpack(archive: Path, folder: Path, max_bytes: int) -> None:
    """Unpack a tar.gz into `folder`, whose files then take at most `max_bytes`.

    Python's "data" filter checks each member; since that of Python 3.12.0 to 3.13.3 can be led astray by chains of
    links (CVE-2025-4517), a link that goes up (`..`) or away (`/`) is refused before it. Raises BadArchive, or OSError
    when the disk is full; what was unpacked until then stays for the caller to delete.
    """
    left = max_bytes
    try:
        with tarfile.open(archive, "r:gz") as tar:
            for number, member in enumerate(tar, start=1):
                left -= member.size
                if left < 0 or number > MAX_MEMBERS:
                    raise BadArchive(f"It unpacks to more than {max_bytes:,} bytes or {MAX_MEMBERS:,} files.")
                _refuse_escape(member)
                tar.extract(member, folder, filter="data")
    except BadArchive:
        raise
    except (tarfile.TarError, EOFError, ValueError, OSError, zlib.error) as error:
        if is_full(error):  # which is not the archive's fault
            raise
        raise BadArchive(f"It cannot be unpacked: {error}") from error


def _refuse_escape(member: tarfile.TarInfo) -> None:
    names = [member.name, member.linkname] if member.islnk() or member.issym() else [member.name]
    if any(name.startswith("/") or ".." in PurePosixPath(name).parts for name in names):
        raise BadArchive(f"Its member '{member.name}' leads out of its folder.")
    if not (member.isfile() or member.isdir() or member.islnk() or member.issym()):
        raise BadArchive(f"Its member '{member.name}' is neither a file, a folder nor a link.")

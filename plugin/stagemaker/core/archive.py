"""Unpacking an archive that somebody else made: nothing lands outside the folder, and it does not fill the disk.

AWS's rule: model artifacts have no symbolic links (https://repost.aws/knowledge-center/sagemaker-endpoint-creation-fail).
Of hard links it says nothing, and tar makes them of files that are one.
"""

import tarfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath

from stagemaker.core.disk import explain, is_full
from stagemaker.core.text import printable

MAX_MEMBERS = 100_000  # (ours)


class BadArchive(ValueError):
    """The archive cannot be unpacked; the message is one clear sentence."""


class ArchiveTooLarge(BadArchive):
    """It takes more bytes than it may."""


def unpack(archive: Path, folder: Path, max_bytes: int) -> None:
    """Unpack a tar.gz into `folder`, whose files then take at most `max_bytes`.

    Symbolic links are refused, as AWS does, and so is a name or a hard link that goes up (`..`) or away (`/`). Raises
    BadArchive, or OSError when the disk is full; what was unpacked until then stays for the caller to delete.
    """
    left = max_bytes
    try:
        with tarfile.open(archive, "r:gz", errorlevel=2) as tar:
            for number, member in enumerate(tar, start=1):
                left -= member.size
                if left < 0:
                    raise ArchiveTooLarge(f"It unpacks to more than {max_bytes:,} bytes.")
                if number > MAX_MEMBERS:
                    raise BadArchive(f"It unpacks to more than {MAX_MEMBERS:,} files.")
                _refuse(member)
                with naming(f"Its member '{printable(member.name)}'"):
                    tar.extract(member, folder, filter="data")
    except BadArchive:
        raise
    except (tarfile.TarError, EOFError, ValueError, OSError, zlib.error) as error:
        if is_full(error):  # which is not the archive's fault
            raise
        raise BadArchive(f"It cannot be unpacked: {explain(error)}.") from error


@contextmanager
def naming(member: str) -> Iterator[None]:
    """Raise what goes wrong with a member, but for a full disk, as BadArchive whose sentence begins with `member`."""
    try:
        yield
    except tarfile.FilterError as error:
        raise BadArchive(f"{member} is not a file that may be written.") from error
    except (tarfile.ExtractError, KeyError) as error:
        raise BadArchive(f"{member} links to what is not there.") from error
    except OSError as error:
        if is_full(error):
            raise
        raise BadArchive(f"{member} cannot be unpacked: {explain(error)}.") from error


def _refuse(member: tarfile.TarInfo) -> None:
    name = printable(member.name)
    names = [member.name, member.linkname] if member.islnk() or member.issym() else [member.name]
    if any(part.startswith("/") or ".." in PurePosixPath(part).parts for part in names):
        raise BadArchive(f"Its member '{name}' leads out of its folder.")
    if member.issym():
        raise BadArchive(f"Its member '{name}' is a symbolic link: pack the file itself in its place.")
    if not (member.isfile() or member.isdir() or member.islnk()):
        raise BadArchive(f"Its member '{name}' is neither a file nor a folder.")

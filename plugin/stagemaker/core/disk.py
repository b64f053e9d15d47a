"""What the disk says, in words that a user can act on: no number of an error, no path of ours."""

import errno
import shutil
from pathlib import Path

_FULL = (errno.ENOSPC, errno.EDQUOT)


def is_full(error: BaseException | None) -> bool:
    """Whether this error, or what it was raised from, says that there is no room left on a disk."""
    while error is not None:
        if isinstance(error, OSError) and error.errno in _FULL:
            return True
        error = error.__cause__ or error.__context__
    return False


def explain(error: Exception) -> str:
    """What went wrong, without a full stop: a full disk in our words, anything else in its own, but without the number
    and the path that Python adds to what the system says."""
    if is_full(error):
        return "No space left on the disk that holds LocalStack's data: free some, or use less data"
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    return str(error)


def copy_tree(source: Path, target: Path) -> None:
    """Copy all that is below `source` into `target`, which is made. Raises the OSError itself, as shutil's does not."""
    target.mkdir(parents=True, exist_ok=True)
    for path in sorted(source.rglob("*")):
        copy = target / path.relative_to(source)
        if path.is_dir():
            copy.mkdir(parents=True, exist_ok=True)
        else:
            shutil.copy2(path, copy)

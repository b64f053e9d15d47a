"""A full disk, in words that a user can act on."""

import errno

_FULL = (errno.ENOSPC, errno.EDQUOT)


def is_full(error: BaseException | None) -> bool:
    """Whether this error, or what it was raised from, says that there is no room left on a disk."""
    while error is not None:
        if isinstance(error, OSError) and error.errno in _FULL:
            return True
        error = error.__cause__ or error.__context__
    return False


def explain(error: Exception) -> str:
    """What went wrong, without a full stop: a full disk in our words, anything else in its own."""
    if is_full(error):
        return "No space left on the disk that holds LocalStack's data: free some, or use less data"
    return str(error)

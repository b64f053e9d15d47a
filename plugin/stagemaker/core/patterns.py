"""Regular expressions of other people, which may take time that doubles with each character.

The `regex` package can be told to give up, but it counts the processor time of the whole process: beside busy threads
it gives up a match of microseconds. So each match is first tried for a moment in which no other thread runs, which is
also quicker than to let the others run; only what takes longer goes on beside them.
"""

from collections.abc import Callable
from typing import Any

ALONE_S = 0.01  # (ours) all other threads wait at most so long for one match


class TooSlow(Exception):
    """The pattern takes too long to say whether it matches this text."""


def within[R](match: Callable[..., R], text: str, timeout_s: float) -> R:
    """What `match`, a bound method such as `fullmatch` or `search` of a compiled `regex` pattern, says of the text.
    TooSlow after about `timeout_s`."""
    try:
        return match(text, timeout=ALONE_S, concurrent=False)
    except TimeoutError:
        pass
    try:
        return match(text, timeout=timeout_s, concurrent=True)
    except TimeoutError:
        raise TooSlow from None


def matches(pattern: Any, text: str, timeout_s: float) -> bool:
    """Whether the whole text matches; False when that takes too long to say."""
    try:
        return within(pattern.fullmatch, text, timeout_s) is not None
    except TooSlow:
        return False

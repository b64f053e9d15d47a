"""Waiting for a condition, with a bound."""

import time
from collections.abc import Callable

PATIENCE_S = 20.0


def until(true: Callable[[], bool], what: str) -> None:
    """Poll until it is so; AssertionError, which says what was waited for, after PATIENCE_S."""
    end = time.monotonic() + PATIENCE_S
    while not true():
        assert time.monotonic() < end, f"not within {PATIENCE_S} s: {what}"
        time.sleep(0.005)

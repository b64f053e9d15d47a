"""Ctrl-C without leaks: the first signal interrupts, those after it and those during clean-up are swallowed.

A second Ctrl-C in the middle of `stop` would otherwise leave what `stop` was about to end.
"""

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any, Self

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Interrupts:
    """While it is entered, SIGINT, SIGTERM and SIGHUP raise KeyboardInterrupt in the main thread, once."""

    def __init__(self) -> None:
        self._before: dict[signal.Signals, Any] = {}
        self._held = 0
        self._pending = False
        self._over = False

    def __enter__(self) -> Self:
        self._before = {number: signal.signal(number, self._on_signal) for number in SIGNALS}
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    @contextmanager
    def held(self) -> Iterator[None]:
        """A signal that comes inside takes effect at the end: for a step that must not be cut in two."""
        self._held += 1
        try:
            yield
        finally:
            self._held -= 1
        if self._pending and not self._held:
            self._raise()

    def no_more(self) -> None:
        """From here on signals are swallowed: what is left is clean-up."""
        self._over = True

    def _on_signal(self, _number: int, _frame: FrameType | None) -> None:
        self._pending = True
        if not self._held:
            self._raise()

    def _raise(self) -> None:
        self._pending = False
        if not self._over:
            self._over = True
            raise KeyboardInterrupt

"""What others want of work that goes on in a thread."""

import threading


class Signals:
    """Set from any thread, read by the one that works. A signal cannot be taken back; but `interrupt` is of one
    attempt, which has Signals of its own over those of its job: the next attempt begins without it."""

    def __init__(self, parent: "Signals | None" = None) -> None:
        self._parent = parent
        self._stop, self._abort, self._interrupt = threading.Event(), threading.Event(), threading.Event()

    def stop(self) -> None:
        """End with the grace period, and keep what there is."""
        self._stop.set()

    def abort(self) -> None:
        """End at once, and keep nothing."""
        self._abort.set()

    def interrupt(self) -> None:
        """End this attempt with the grace period; another may follow."""
        self._interrupt.set()

    @property
    def stopped(self) -> bool:
        """Whether `stop` was called, here or above."""
        return self._stop.is_set() or (self._parent is not None and self._parent.stopped)

    @property
    def aborted(self) -> bool:
        """Whether `abort` was called, here or above."""
        return self._abort.is_set() or (self._parent is not None and self._parent.aborted)

    @property
    def interrupted(self) -> bool:
        """Whether `interrupt` was called here."""
        return self._interrupt.is_set()

    @property
    def any(self) -> bool:
        """Whether anything was called."""
        return self.stopped or self.aborted or self.interrupted

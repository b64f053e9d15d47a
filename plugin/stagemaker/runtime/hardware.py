"""What hardware containers got, said where people look: in the first line of a log, in the description of a job."""

import threading
from collections.abc import Callable, Iterable, Mapping


def sentence(hardware: Mapping[str, str]) -> str:
    """One sentence for the `hardware` of containers, by their names, as the runtime words it."""
    words = {name: words.rstrip(".") for name, words in hardware.items()}
    if len(set(words.values())) == 1:
        return f"Runs on {next(iter(words.values()))}."
    return "; ".join(f"{name} runs on {what}" for name, what in words.items()) + "."


class HardwareLog:
    """A log that begins with what `name` runs on, which is known only when lines of it may have come. Thread-safe."""

    def __init__(self, name: str, sink: Callable[[str], None]) -> None:
        self._name, self._sink = name, sink
        self._lock = threading.Lock()
        self._held: list[str] | None = []

    def line(self, line: str) -> None:
        """Write the line, after the first one: lines that come before `begin` wait for it."""
        with self._lock:
            if self._held is None:
                self._sink(line)
            else:
                self._held.append(line)

    def begin(self, hardware: str, notes: Iterable[str] = ()) -> None:
        """Write the first line, a line for each of `notes`, and all that waited. Once."""
        with self._lock:
            first = [f"Stagemaker: {sentence}" for sentence in (f"{self._name} runs on {hardware}", *notes)]
            for line in (*first, *(self._held or [])):
                self._sink(line)
            self._held = None

"""Output as lines, however a program writes it: no line end, megabytes without one, bytes that are not UTF-8."""

import logging
from collections.abc import Callable

LOG = logging.getLogger(__name__)
MAX_LINE_BYTES = 64 * 1024


class LineSplitter:
    """Cuts a byte stream into lines of text. A longer line than MAX_LINE_BYTES comes in pieces; memory is bounded by
    that and the largest chunk fed. Not thread-safe: one reader feeds it."""

    def __init__(self) -> None:
        self._rest = b""

    def feed(self, data: bytes) -> list[str]:
        """The lines that `data` completes, without their ends (`\\n` or `\\r\\n`)."""
        *whole, self._rest = (self._rest + data).split(b"\n")
        lines = [piece for line in whole for piece in _pieces(line.removesuffix(b"\r"))]
        *full, self._rest = _pieces(self._rest)
        return [_text(line) for line in [*lines, *full]]

    def finish(self) -> list[str]:
        """The last line, when the stream did not end with a line end."""
        rest, self._rest = self._rest, b""
        return [_text(rest)] if rest else []


def give(lines: list[str], on_line: Callable[[str], None]) -> None:
    """Call `on_line` with each line. Its failure is logged and ends nothing: output that nobody reads would stop the
    program that writes it."""
    for line in lines:
        try:
            on_line(line)
        except Exception:
            LOG.exception("the reader of a container's output failed")


def _pieces(line: bytes) -> list[bytes]:
    pieces = []
    while len(line) > MAX_LINE_BYTES:
        end = _boundary(line)
        pieces.append(line[:end])
        line = line[end:]
    return [*pieces, line]


def _boundary(line: bytes) -> int:
    """Where to cut: before the UTF-8 character that MAX_LINE_BYTES would split, if it is one."""
    for end in range(MAX_LINE_BYTES, MAX_LINE_BYTES - 4, -1):
        if line[end] & 0xC0 != 0x80:
            return end
    return MAX_LINE_BYTES


def _text(line: bytes) -> str:
    return line.decode("utf-8", errors="replace")

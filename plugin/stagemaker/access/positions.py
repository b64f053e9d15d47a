"""Where the statements of a policy stand in its text, as IAM's policy simulator tells it."""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass

_SPACE = re.compile(r"[ \t\r\n]*")
_DECODER = json.JSONDecoder()


@dataclass(frozen=True)
class Position:
    """A place in a text. Lines and columns count from 1."""

    line: int
    column: int


def statement_positions(text: str) -> list[tuple[Position, Position]]:
    """The begin and the end of each statement of a policy that read_policy takes, in their order.

    As in the examples of SimulateCustomPolicy, the begin is just after the opening brace and the end just after the
    closing one. Source: https://docs.aws.amazon.com/cli/latest/reference/iam/simulate-custom-policy.html.
    """
    return [(_position(text, start + 1), _position(text, end)) for start, end in _spans(text)]


def _spans(text: str) -> Iterator[tuple[int, int]]:
    """The offsets of the statements."""
    for key, start, end in _members(text):
        if key == "Statement":
            if text[start] == "{":
                yield start, end
            else:
                yield from _items(text, start)


def _members(text: str) -> Iterator[tuple[str, int, int]]:
    """The keys of the document, and the offsets of their values."""
    place = _after_space(text, 0)
    while text[place] != "}":
        key, place = _DECODER.raw_decode(text, _after_space(text, place + 1))  # after the brace or the comma
        start = _after_space(text, _after_space(text, place) + 1)  # after the colon
        place = _DECODER.raw_decode(text, start)[1]
        yield key, start, place
        place = _after_space(text, place)


def _items(text: str, start: int) -> Iterator[tuple[int, int]]:
    """The offsets of the items of a list that begins at `start`."""
    place = start
    while text[place] != "]":
        begin = _after_space(text, place + 1)  # after the bracket or the comma
        if text[begin] == "]":
            return
        end = _DECODER.raw_decode(text, begin)[1]
        yield begin, end
        place = _after_space(text, end)


def _after_space(text: str, place: int) -> int:
    found = _SPACE.match(text, place)
    return found.end() if found else place


def _position(text: str, offset: int) -> Position:
    return Position(text.count("\n", 0, offset) + 1, offset - text.rfind("\n", 0, offset))

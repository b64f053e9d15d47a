"""The JSONPath expressions that batch transform knows: what they select of a record. Pure.

AWS source: "Associate Prediction Results with Input Records" in the developer guide: `$`, `.name`, `*`, `['a','b']`,
`[0,2,-1]`, `[a:b]`; nothing nested in brackets. The guide reads the end of a slice as included in one place and as
JSONPath does, excluded, in another; here it is excluded.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

_STEP = re.compile(
    r"""\.(?P<name>[^.\[\]*'"\s]+)
      | (?P<all>\.\*|\[\*\])
      | \[\s*(?P<names>'[^']*'(?:\s*,\s*'[^']*')*)\s*\]
      | \[\s*(?P<numbers>-?[0-9]+(?:\s*,\s*-?[0-9]+)*)\s*\]
      | \[\s*(?P<start>-?[0-9]*)\s*:\s*(?P<end>-?[0-9]*)\s*\]""",
    re.VERBOSE,
)
WHOLE = "$"


class BadPath(ValueError):
    """An expression that is none, or that a record has nothing for; the message says so."""


@dataclass(frozen=True)
class Path:
    """An expression. `select` raises BadPath for a record that does not have what it names."""

    text: str
    steps: tuple[Callable[[Any], Any], ...]
    only_positions: bool  # as a row of CSV, which has no names, can answer

    def select(self, value: Any) -> Any:
        """A single step to one element gives it; one to several a list of them, or an object where they have names."""
        for step in self.steps:
            value = step(value)
        return value


def parse(text: str) -> Path:
    """BadPath for what is no expression of batch transform's."""
    if not text.startswith(WHOLE):
        raise BadPath(f"'{text}' must begin with $")
    position, steps, only_positions = 1, [], True
    while position < len(text):
        found = _STEP.match(text, position)
        if found is None:
            raise BadPath(f"'{text}' cannot be read from '{text[position:]}' on")
        steps.append(_step(found, text))
        only_positions &= not (found["name"] or found["names"])
        position = found.end()
    return Path(text, tuple(steps), only_positions)


def _step(found: re.Match[str], text: str) -> Callable[[Any], Any]:
    if found["name"]:
        return lambda value: _member(value, found["name"], text)
    if found["all"]:
        return lambda value: list(_mapping(value, text).values()) if isinstance(value, dict) else _list(value, text)
    if found["names"]:
        names = re.findall(r"'([^']*)'", found["names"])
        if len(names) == 1:
            return lambda value: _member(value, names[0], text)
        return lambda value: {name: _member(value, name, text) for name in names}
    if found["numbers"]:
        numbers = [int(number) for number in found["numbers"].split(",")]
        if len(numbers) == 1:
            return lambda value: _element(value, numbers[0], text)
        return lambda value: [_element(value, number, text) for number in numbers]
    start, end = (int(found[name]) if found[name] else None for name in ("start", "end"))
    return lambda value: _list(value, text)[start:end]


def _mapping(value: Any, text: str) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise BadPath(f"'{text}' names a member of what is no object")
    return value


def _list(value: Any, text: str) -> list[Any]:
    if not isinstance(value, list):
        raise BadPath(f"'{text}' names an element of what is no array")
    return value


def _member(value: Any, name: str, text: str) -> Any:
    members = _mapping(value, text)
    if name not in members:
        raise BadPath(f"'{text}': there is no member '{name}'")
    return members[name]


def _element(value: Any, number: int, text: str) -> Any:
    elements = _list(value, text)
    if not -len(elements) <= number < len(elements):
        raise BadPath(f"'{text}': there is no element {number} of {len(elements)}")
    return elements[number]

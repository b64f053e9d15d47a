"""A part of a page, before it is Markdown or HTML."""

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Table:
    """Rows that are as long as the header; `title` says what it is of, or nothing."""

    header: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    title: str = ""


@dataclass(frozen=True)
class Section:
    """A title; sentences; tables; a text that keeps its lines, such as JSON; and pictures, which are SVG elements with
    their own size. `here` says what was done at some of the `by_hand.STEPS`."""

    title: str
    sentences: tuple[str, ...] = ()
    tables: tuple[Table, ...] = ()
    code: str = ""
    pictures: tuple[str, ...] = ()
    here: Mapping[str, str] = field(default_factory=dict)

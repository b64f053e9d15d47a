"""What the pages that we write have in common: one HTML file that needs no other. Whatever comes from outside is
escaped."""

from collections.abc import Iterable
from html import escape

_STYLE = """
body { font: 16px/1.5 system-ui, sans-serif; margin: 2rem auto; max-width: 75rem; padding: 0 1rem; color: #222; }
table { border-collapse: collapse; margin: 1rem 0; }
th, td { border-bottom: 1px solid #ddd; padding: .3rem .8rem; text-align: left; vertical-align: top; }
pre { background: #f6f6f6; overflow-x: auto; padding: .5rem 1rem; }
svg { max-width: 100%; height: auto; }
.note { background: #fff4d6; padding: .5rem 1rem; }
"""


def document(title: str, parts: Iterable[str]) -> str:
    """The whole file: a title, its heading, and the parts, which are elements."""
    head = (f"<title>{escape(title)}</title>", f"<style>{_STYLE}</style>", f"<h1>{escape(title)}</h1>")
    return "\n".join(("<!doctype html>", '<html lang="en">', '<meta charset="utf-8">', *head, *parts, "</html>", ""))


def table(header: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    """A table element of texts."""
    return "\n".join(("<table>", _row("th", header), *(_row("td", row) for row in rows), "</table>"))


def _row(tag: str, cells: Iterable[str]) -> str:
    return f"<tr>{''.join(f'<{tag}>{escape(cell)}</{tag}>' for cell in cells)}</tr>"

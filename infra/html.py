"""What the pages that we write have in common: one HTML file that needs no other, for light and dark screens, wide and
narrow ones. Whatever comes from outside is escaped."""

import re
from collections.abc import Iterable
from html import escape

_STYLE = """
:root { color-scheme: light dark; --text: #222; --back: #fff; --line: #ddd; --soft: #f6f6f6; --note: #fff4d6; }
@media (prefers-color-scheme: dark) {
  :root { --text: #ddd; --back: #16181c; --line: #3a3d42; --soft: #22252a; --note: #453a14; }
}
body { font: 16px/1.5 system-ui, sans-serif; margin: 2rem auto; max-width: 75rem; padding: 0 1rem; color: var(--text);
  background: var(--back); overflow-wrap: anywhere; }
table { border-collapse: collapse; }
th, td { border-bottom: 1px solid var(--line); padding: .3rem .8rem; text-align: left; vertical-align: top;
  min-width: 7rem; }
pre { background: var(--soft); overflow-x: auto; padding: .5rem 1rem; overflow-wrap: normal; }
code { background: var(--soft); padding: 0 .2rem; }
svg { display: block; max-width: 100%; height: auto; background: #fff; border-radius: .5rem; }
.wide { overflow-x: auto; margin: 1rem 0; }
.note { background: var(--note); padding: .5rem 1rem; }
@media (max-width: 40rem) {
  body { margin: 1rem auto; }
  th, td { padding: .3rem .4rem; min-width: 6rem; }
  svg { max-width: none; width: 36rem; }
}
"""


def document(title: str, parts: Iterable[str]) -> str:
    """The whole file: a title, its heading, and the parts, which are elements."""
    head = (
        '<meta name="viewport" content="width=device-width, initial-scale=1">',
        f"<title>{escape(title)}</title>",
        f"<style>{_STYLE}</style>",
        f"<h1>{escape(title)}</h1>",
    )
    return "\n".join(("<!doctype html>", '<html lang="en">', '<meta charset="utf-8">', *head, *parts, "</html>", ""))


def table(header: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    """A table element of texts. Where the screen is too narrow the table scrolls, and not the page."""
    return _wide("\n".join(("<table>", _row("th", header), *(_row("td", row) for row in rows), "</table>")))


def picture(svg: str) -> str:
    """An SVG element at its own size, or as wide as the page."""
    return _wide(svg)


def text(sentence: str) -> str:
    """A sentence, escaped; what stands between backticks is code."""
    return re.sub("`([^`]+)`", r"<code>\1</code>", escape(sentence))


def _wide(element: str) -> str:
    return f'<div class="wide">\n{element}\n</div>'


def _row(tag: str, cells: Iterable[str]) -> str:
    return f"<tr>{''.join(f'<{tag}>{text(cell)}</{tag}>' for cell in cells)}</tr>"

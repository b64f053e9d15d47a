"""The page of a rehearsal, as Markdown and as one HTML file, from the same sections. Pure, but for `write`."""

from collections.abc import Iterable, Sequence
from html import escape
from pathlib import Path

from infra import html
from infra.rehearse.section import Section, Table


def write(folder: Path, title: str, sections: Sequence[Section]) -> Path:
    """`index.html`, and `index.md` with its pictures as SVG files, in the folder, which is made; pictures of an earlier
    page are deleted. The path of the HTML file."""
    folder.mkdir(parents=True, exist_ok=True)
    for old in folder.glob("picture-*.svg"):
        old.unlink()
    for name, picture in _pictures(sections):
        (folder / name).write_text(picture, encoding="utf-8")
    (folder / "index.md").write_text(markdown(title, sections), encoding="utf-8")
    path = folder / "index.html"
    path.write_text(as_html(title, sections), encoding="utf-8")
    return path


def markdown(title: str, sections: Sequence[Section]) -> str:
    """The page in GitHub's Markdown."""
    parts = [f"# {title}"]
    names = iter([name for name, _ in _pictures(sections)])
    for section in sections:
        parts += [f"## {section.title}", *section.sentences, *(_table(table) for table in section.tables)]
        if section.code:
            parts.append(f"```\n{section.code}\n```")
        parts += [f"![{section.title}]({next(names)})" for _ in section.pictures]
    return "\n\n".join(parts) + "\n"


def as_html(title: str, sections: Sequence[Section]) -> str:
    """The page as one file, with the pictures inside."""
    return html.document(title, (element for section in sections for element in _elements(section)))


def _elements(section: Section) -> Iterable[str]:
    yield f"<h2>{escape(section.title)}</h2>"
    yield from (f"<p>{html.text(sentence)}</p>" for sentence in section.sentences)
    for table in section.tables:
        if table.title:
            yield f"<h3>{escape(table.title)}</h3>"
        yield html.table(table.header, table.rows)
    if section.code:
        yield f"<pre>{escape(section.code)}</pre>"
    yield from (html.picture(picture) for picture in section.pictures)


def _pictures(sections: Sequence[Section]) -> list[tuple[str, str]]:
    """Each picture with the name of its file."""
    found = [picture for section in sections for picture in section.pictures]
    return [(f"picture-{number}.svg", picture) for number, picture in enumerate(found, start=1)]


def _table(table: Table) -> str:
    dashes = tuple("---" for _ in table.header)
    lines = [_line(cells) for cells in (table.header, dashes, *table.rows)]
    return "\n".join([*([f"### {table.title}\n"] if table.title else []), *lines])


def _line(cells: Iterable[str]) -> str:
    return f"| {' | '.join(cell.replace('|', chr(92) + '|').replace(chr(10), '<br>') for cell in cells)} |"

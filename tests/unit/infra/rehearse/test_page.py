"""The page of a rehearsal: the same content as Markdown and as HTML, and harmless whatever an answer says."""

from pathlib import Path

from infra.rehearse import page
from infra.rehearse.section import Section, Table

PICTURE = '<svg xmlns="http://www.w3.org/2000/svg"><path d="M0 0"/></svg>'
FIRST = Section(
    "Tuning",
    ("A sentence.", "<script>alert(1)</script>"),
    (Table(("Job", "Value"), (("1", "a|b"), ("2", "two\nlines")), "Jobs"),),
    code='{"a": "<b>"}',
    pictures=(PICTURE, PICTURE),
)
SECTIONS = [FIRST, Section("Scaling", pictures=(PICTURE,))]


def test_the_markdown_holds_every_part_in_order() -> None:
    text = page.markdown("A title", SECTIONS)
    parts = [
        "# A title", "## Tuning", "A sentence.", "### Jobs", "| Job | Value |\n| --- | --- |", "| 1 | a\\|b |",
        "| 2 | two<br>lines |", '```\n{"a": "<b>"}\n```', "![Tuning](picture-1.svg)", "![Tuning](picture-2.svg)",
        "## Scaling", "![Scaling](picture-3.svg)",
    ]  # fmt: skip
    places = [text.index(part) for part in parts]
    assert places == sorted(places)


def test_the_html_is_one_file_with_the_pictures_inside_and_escapes_the_rest() -> None:
    text = page.as_html("A title", SECTIONS)
    assert text.count(PICTURE) == 3
    assert "<h3>Jobs</h3>" in text
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in text
    assert "<script>" not in text
    assert "&quot;a&quot;: &quot;&lt;b&gt;&quot;" in text
    assert "src=" not in text


def test_a_page_replaces_an_earlier_one_with_its_pictures(tmp_path: Path) -> None:
    folder = tmp_path / "e"
    assert page.write(folder, "A title", SECTIONS) == folder / "index.html"
    assert {path.name for path in folder.iterdir()} == {
        "index.html", "index.md", "picture-1.svg", "picture-2.svg", "picture-3.svg",
    }  # fmt: skip
    page.write(folder, "A title", [Section("Scaling", pictures=(PICTURE,))])
    assert sorted(path.name for path in folder.glob("picture-*")) == ["picture-1.svg"]


def test_commands_between_backticks_are_shown_as_code() -> None:
    table = Table(("Here",), (("`make notebook` opens it",),))
    text = page.as_html("A title", [Section("Clean-up", ("`make destroy <x>` ran.",), (table,))])
    assert "<p><code>make destroy &lt;x&gt;</code> ran.</p>" in text
    assert "<td><code>make notebook</code> opens it</td>" in text


def test_on_a_narrow_screen_tables_and_pictures_scroll_by_themselves() -> None:
    text = page.as_html("A title", SECTIONS)
    assert 'name="viewport" content="width=device-width' in text
    assert text.count('<div class="wide">') == 4, "a table and three pictures"

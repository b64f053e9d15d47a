"""Output as lines: any bytes, cut anywhere, are given whole and bounded."""

from hypothesis import given
from hypothesis import strategies as st

from stagemaker.runtime.lines import MAX_LINE_BYTES, LineSplitter


def split(*chunks: bytes) -> list[str]:
    splitter = LineSplitter()
    return [line for chunk in chunks for line in splitter.feed(chunk)] + splitter.finish()


def test_line_ends() -> None:
    assert split(b"a\nb\r\n\nc\rd\n") == ["a", "b", "", "c\rd"]
    assert split(b"a\r", b"\nb", b"") == ["a", "b"]
    assert split() == split(b"") == []


def test_nothing_waits_for_a_line_end_for_ever() -> None:
    splitter = LineSplitter()
    assert splitter.feed(b"x" * MAX_LINE_BYTES) == []
    assert splitter.feed(b"y") == ["x" * MAX_LINE_BYTES]
    assert splitter.feed(b"\n") == ["y"]


def test_a_long_line_is_not_cut_inside_a_character() -> None:
    text = "a" + "\N{SAUROPOD}" * 40_000
    assert "".join(split(text.encode())) == text


def test_a_long_line_without_any_character() -> None:
    assert "".join(split(b"\x80" * 200_000)) == "\ufffd" * 200_000


@given(st.lists(st.binary(max_size=40)))
def test_how_the_bytes_arrive_does_not_matter(chunks: list[bytes]) -> None:
    assert split(*chunks) == split(b"".join(chunks))


@given(st.lists(st.text(st.characters(exclude_characters="\n\r", codec="utf-8"), min_size=1)))
def test_lines_come_back(lines: list[str]) -> None:
    assert split("\n".join(lines).encode()) == lines

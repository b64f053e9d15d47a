"""Names of files and objects, which strangers choose, as messages and logs can hold them."""

SHOWN_CHARS = 200  # of a name: a reason of a failure has 1,024 for everything


def printable(name: str) -> str:
    """The name for a message: what is no UTF-8 or not printable as an escape, the middle of a long one left out."""
    text = name.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")
    text = "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)
    half = SHOWN_CHARS // 2
    return text if len(text) <= SHOWN_CHARS else f"{text[:half]}...{text[-half:]}"

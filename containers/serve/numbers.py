"""Numbers in text that others wrote. Python's int() also reads `1_000`, blanks, and other digits than 0 to 9."""

import re

_WHOLE = re.compile(r"[0-9]{1,18}")


def whole_number(text: str) -> int | None:
    """A number of up to 18 of the digits 0 to 9 and nothing else; None for any other text."""
    return int(text) if _WHOLE.fullmatch(text) else None

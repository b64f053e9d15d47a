"""Numbers in text that others wrote. Python reads more: `1_000`, blanks, digits other than 0 to 9, `nan`."""

import re

_WHOLE = re.compile(r"[0-9]{1,18}")
_DECIMAL = re.compile(r"[0-9]{1,18}(\.[0-9]{0,18})?|\.[0-9]{1,18}")


def whole_number(text: str) -> int | None:
    """A number of up to 18 of the digits 0 to 9 and nothing else; None for any other text."""
    return int(text) if _WHOLE.fullmatch(text) else None


def is_decimal(text: str) -> bool:
    """Whether the text is a number without a sign or an exponent, such as `0.5`. Not `nan` and not `inf`."""
    return _DECIMAL.fullmatch(text) is not None

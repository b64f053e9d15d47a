"""Numbers in text that others wrote. Python's int, float and Decimal read more than AWS: `1_000`, blanks, other
digits than 0 to 9. Pure."""

import math
import re

_WHOLE = re.compile(r"[0-9]{1,18}")
_DECIMAL = re.compile(r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?")


def whole_number(text: str) -> int | None:
    """A number of up to 18 of the digits 0 to 9 and nothing else; None for any other text."""
    return int(text) if _WHOLE.fullmatch(text) else None


def is_decimal(text: str) -> bool:
    """Whether it is a number with a sign, a point or an exponent, or without: `-1.5e3`. Not `nan` and not `inf`."""
    return _DECIMAL.fullmatch(text) is not None


def finite_number(text: str) -> float | None:
    """The number, as `is_decimal` has it, between the largest and the smallest that a float holds; else None."""
    value = float(text) if is_decimal(text) else math.inf
    return value if math.isfinite(value) else None

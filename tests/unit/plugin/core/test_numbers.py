"""Numbers in text that others wrote."""

import pytest

from stagemaker.core.numbers import finite_number, is_decimal, whole_number

OTHER_DIGITS = ("\u0663", "\uff13", "\u00b2")
NONE = (*OTHER_DIGITS, "", "1_000", "0_1", " 1", "1\n", "nan", "inf", "Infinity", "0x1", "1,5", "e5", ".", "+", "--1")


@pytest.mark.parametrize(("text", "value"), [("0", 0), ("007", 7), ("1" * 18, int("1" * 18))])
def test_whole_numbers(text: str, value: int) -> None:
    assert whole_number(text) == value


@pytest.mark.parametrize("text", [*NONE, "1.0", "-1", "+1", "1e3", "1" * 19])
def test_what_is_no_whole_number(text: str) -> None:
    assert whole_number(text) is None


@pytest.mark.parametrize(
    ("text", "value"), [("0.5", 0.5), ("-1.5e3", -1500.0), ("+2", 2.0), ("3.", 3.0), (".25", 0.25), ("1E-2", 0.01)]
)
def test_decimal_numbers(text: str, value: float) -> None:
    assert is_decimal(text)
    assert finite_number(text) == value


@pytest.mark.parametrize("text", NONE)
def test_what_is_no_decimal_number(text: str) -> None:
    assert not is_decimal(text)
    assert finite_number(text) is None


def test_a_number_that_no_float_holds() -> None:
    assert is_decimal("1e999")
    assert finite_number("1e999") is None

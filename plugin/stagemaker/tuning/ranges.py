"""The ranges of hyperparameters that a tuning job searches, and their values as text. Pure.

AWS source: "Define Hyperparameter Ranges" in the developer guide. Bounds and values are text in requests and answers.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from stagemaker.core.errors import validation_error
from stagemaker.core.numbers import finite_number, whole_number

LINEAR, LOGARITHMIC, REVERSE_LOGARITHMIC = "Linear", "Logarithmic", "ReverseLogarithmic"
AUTO_LOGARITHMIC_RATIO = 100.0  # (ours) Auto takes the logarithm of a range above 0 whose bounds differ by this factor
LARGEST_INTEGER = 2**53  # above it a float does not hold every integer
AUTOTUNE_FACTOR = 10.0  # (ours) an automatic range goes from a tenth of its hint to ten times the hint


@dataclass(frozen=True)
class Number:
    """An integer or continuous range; both bounds belong to it. `scaling` is one of the three constants."""

    name: str
    low: float
    high: float
    scaling: str
    is_integer: bool

    @property
    def type_name(self) -> str:
        """As AWS calls it."""
        return "Integer" if self.is_integer else "Continuous"

    @property
    def size(self) -> int | None:
        """How many values there are; None for more than can be counted."""
        if self.is_integer:
            return int(self.high) - int(self.low) + 1
        return 1 if self.low == self.high else None

    def at(self, index: int) -> str:
        """The text of the value with this index from 0, where the values can be counted."""
        return self.text(self.low + index)

    def index(self, text: str) -> int:
        """The index of a value of this range."""
        return int(float(text) - self.low)

    def text(self, value: float) -> str:
        """A value as a training job gets it. One that arithmetic carried past a bound becomes the bound."""
        value = min(max(value, self.low), self.high)
        return str(int(value)) if self.is_integer else repr(float(value))

    def value(self, text: str) -> float | None:
        """The value that a text stands for; None when it is none of this range."""
        found = _integer(text) if self.is_integer else finite_number(text)
        return found if found is not None and self.low <= found <= self.high else None


@dataclass(frozen=True)
class Categories:
    """A categorical range."""

    name: str
    values: tuple[str, ...]
    type_name = "Categorical"
    scaling = ""

    @property
    def size(self) -> int:
        """How many values there are."""
        return len(self.values)

    def at(self, index: int) -> str:
        """The value with this index, from 0."""
        return self.values[index]

    def index(self, text: str) -> int:
        """The index of a value of this range."""
        return self.values.index(text)

    def text(self, value: str) -> str:
        """A value as a training job gets it."""
        return value

    def value(self, text: str) -> str | None:
        """The value that a text stands for; None when it is none of this range."""
        return text if text in self.values else None


Range = Number | Categories


def ranges_of(parameter_ranges: Mapping[str, Any]) -> tuple[Range, ...]:
    """In the order of the request: integer, continuous, categorical, automatic. ValidationException for a range that
    has no values."""
    return (
        *(_number(each, is_integer=True) for each in parameter_ranges.get("IntegerParameterRanges", [])),
        *(_number(each, is_integer=False) for each in parameter_ranges.get("ContinuousParameterRanges", [])),
        *(_categories(each) for each in parameter_ranges.get("CategoricalParameterRanges", [])),
        *(_automatic(each["Name"], each["ValueHint"]) for each in parameter_ranges.get("AutoParameters", [])),
    )


def combinations(ranges: Sequence[Range]) -> int | None:
    """How many different configurations there are; None for more than can be counted."""
    sizes = [each.size for each in ranges]
    return None if None in sizes else math.prod(size for size in sizes if size is not None)


def _number(given: Mapping[str, str], *, is_integer: bool) -> Number:
    name, bounds = given["Name"], []
    for member in ("MinValue", "MaxValue"):
        bound = _integer(given[member]) if is_integer else finite_number(given[member])
        if bound is None:
            kind = "an integer" if is_integer else "a number"
            raise validation_error(f"{member} of the hyperparameter {name} must be {kind}, not '{given[member]}'.")
        bounds.append(bound)
    low, high = bounds
    if low > high:
        raise validation_error(
            f"MinValue [{given['MinValue']}] of the hyperparameter {name} must not be greater than its MaxValue "
            f"[{given['MaxValue']}]."
        )
    if not math.isfinite(high - low):
        raise validation_error(f"The range of the hyperparameter {name} is too wide for a number.")
    return Number(name, low, high, _scaling(name, low, high, given.get("ScalingType", "Auto"), is_integer), is_integer)


def _scaling(name: str, low: float, high: float, wanted: str, is_integer: bool) -> str:
    if wanted == "Auto":
        return LOGARITHMIC if low > 0 and high >= low * AUTO_LOGARITHMIC_RATIO else LINEAR
    if wanted == LOGARITHMIC and low <= 0:
        raise validation_error(f"Logarithmic scaling of the hyperparameter {name} needs values greater than 0.")
    if wanted == REVERSE_LOGARITHMIC and is_integer:
        raise validation_error(
            f"ReverseLogarithmic scaling is not supported for the integer hyperparameter {name}, only for continuous "
            f"ones."
        )
    if wanted == REVERSE_LOGARITHMIC and not 0 <= low <= high < 1:
        raise validation_error(
            f"ReverseLogarithmic scaling of the hyperparameter {name} needs a range within 0 <= x < 1.0."
        )
    return wanted


def _categories(given: Mapping[str, Any]) -> Categories:
    values = tuple(given["Values"])
    if len(set(values)) < len(values):
        raise validation_error(f"The categorical hyperparameter {given['Name']} has the same value more than once.")
    return Categories(given["Name"], values)


def _automatic(name: str, hint: str) -> Range:
    """(ours) Around a number ten times up and down; of `true` both truths; of any other text the text alone."""
    integer, number = _integer(hint), finite_number(hint)
    if integer is not None and 0 < integer <= LARGEST_INTEGER // AUTOTUNE_FACTOR:
        least, most = max(1, int(integer / AUTOTUNE_FACTOR)), int(integer * AUTOTUNE_FACTOR)
        return Number(name, least, most, LOGARITHMIC, is_integer=True)
    if integer is None and number is not None and number > 0:
        low, high = number / AUTOTUNE_FACTOR, number * AUTOTUNE_FACTOR
        if number < 1:  # a rate or a share stays one
            high = min(high, 1.0)
        if low > 0 and math.isfinite(high):
            return Number(name, low, high, LOGARITHMIC, is_integer=False)
    if hint.lower() in ("true", "false"):
        return Categories(name, (hint, _other_truth(hint)))
    return Categories(name, (hint,))


def _other_truth(hint: str) -> str:
    other = "false" if hint.lower() == "true" else "true"
    return other.upper() if hint.isupper() else other.capitalize() if hint[:1].isupper() else other


def _integer(text: str) -> int | None:
    found = whole_number(text.removeprefix("-"))
    if found is None or found > LARGEST_INTEGER:
        return None
    return -found if text.startswith("-") else found

"""Conditions of a statement: one table of operators, and the rules around them (IfExists, set operators, absent keys).

Source: "Condition operators" and "Single-valued vs. multivalued context keys" of the IAM user guide,
https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_elements_condition_operators.html.
"""

import base64
import binascii
import ipaddress
import operator
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from enum import Enum
from functools import lru_cache

from stagemaker.access.match import read_arn, read_pattern
from stagemaker.access.request import Context
from stagemaker.core.numbers import is_decimal

# Whether a value of the request fits the policy's value that the test was made from. None: a variable has no value.
type Test = Callable[[str, Context], bool | None]
type MakeTest = Callable[[str, bool], Test]  # from the policy's value, and whether its variables are read


class SetOperator(Enum):
    """How the values of a key that can have several are counted."""

    ALL = "ForAllValues"
    ANY = "ForAnyValue"


@dataclass(frozen=True)
class Operator:
    """An operator's name taken apart: `ForAnyValue:StringNotEqualsIfExists`."""

    name: str
    if_exists: bool
    set_operator: SetOperator | None

    @property
    def is_negated(self) -> bool:
        """Whether it holds when no value fits."""
        return self.name in NEGATED


@dataclass(frozen=True)
class Condition:
    """One key of one operator, and the values of the policy, of which one must fit."""

    operator: Operator
    key: str  # as the policy writes it
    values: tuple[str, ...]
    variables: bool

    def holds(self, context: Context) -> bool:
        """Whether the condition is true in a request."""
        found = context.get(self.key.lower(), ())
        values = (found,) if isinstance(found, str) else found
        if self.operator.name == "Null":
            return any((value.lower() == "true") != bool(values) for value in self.values)
        if not values:
            return self._holds_without_key()
        if self.operator.set_operator is not None:
            holding = (self._holds_for(value, context) for value in values if value)
            return all(holding) if self.operator.set_operator is SetOperator.ALL else any(holding)
        holding = (self._holds_for(value, context) for value in values)
        return all(holding) if self.operator.is_negated else any(holding)

    def _holds_without_key(self) -> bool:
        if self.operator.if_exists or self.operator.set_operator is SetOperator.ALL:
            return True
        return self.operator.is_negated and self.operator.set_operator is None

    def _holds_for(self, value: str, context: Context) -> bool:
        """Whether one value of the request fits; for a negated operator, whether it surely fits none."""
        if self.operator.is_negated:
            return all(test(value, context) is False for test in self.tests)
        return any(test(value, context) for test in self.tests)

    @property
    def tests(self) -> tuple[Test, ...]:
        """One for each value of the policy."""
        return _tests(self.operator.name, self.values, self.variables)

    @property
    def context_keys(self) -> list[str]:
        """The keys that it compares and those of its variables without a default, as the policy writes them."""
        takes_variables = self.operator.name.startswith(("String", "Arn")) and self.variables
        texts = [text for text in self.values if "${" in text] if takes_variables else []
        inside = [key for text in texts for key in read_pattern(text, wildcards=True, variables=True).variables]
        return [self.key, *inside]


@lru_cache(maxsize=256)
def read_operator(text: str) -> Operator | None:
    """The operator with this name, or None when AWS has no such operator."""
    set_name, colon, name = text.rpartition(":")
    if_exists = name.endswith("IfExists")
    name = name.removesuffix("IfExists")
    if name not in TESTS and (name != "Null" or if_exists or colon):
        return None
    if colon and set_name not in [known.value for known in SetOperator]:
        return None
    return Operator(name, if_exists, SetOperator(set_name) if colon else None)


@lru_cache(maxsize=8192)
def _tests(name: str, values: tuple[str, ...], variables: bool) -> tuple[Test, ...]:
    return tuple(TESTS[name](value, variables) for value in values)


def _string_equals(value: str, variables: bool) -> Test:
    return read_pattern(value, wildcards=False, variables=variables).fits


def _string_equals_ignore_case(value: str, variables: bool) -> Test:
    pattern = read_pattern(value, wildcards=False, variables=variables)

    def equals(text: str, context: Context) -> bool | None:
        runs = pattern.known or pattern.runs(context)  # one piece, since there are no wildcards
        return None if runs is None else runs[0][0].lower() == text.lower()

    return equals


def _string_like(value: str, variables: bool) -> Test:
    return read_pattern(value, wildcards=True, variables=variables).fits


def _arn_like(value: str, variables: bool) -> Test:
    return read_arn(value, variables=variables).fits


def _bool(value: str, _variables: bool) -> Test:
    wanted = value.lower()
    return lambda text, _context: text.lower() == wanted


def _binary_equals(value: str, _variables: bool) -> Test:
    wanted = read_bytes(value)
    return lambda text, _context: wanted is not None and read_bytes(text) == wanted


def read_bytes(text: str) -> bytes | None:
    """The bytes that a text in base 64 stands for, or None."""
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        return None


def _ip_address(value: str, _variables: bool) -> Test:
    network = read_network(value)
    if network is None:
        return _nothing_fits

    def is_in_network(text: str, _context: Context) -> bool:
        try:
            return ipaddress.ip_address(text) in network
        except ValueError:
            return False

    return is_in_network


def read_network(text: str) -> ipaddress.IPv4Network | ipaddress.IPv6Network | None:
    """The addresses of a range, or the one address, that a text names, or None."""
    try:
        return ipaddress.ip_network(text, strict=False)
    except ValueError:
        return None


def read_number(text: str) -> Decimal | None:
    """The number that a text stands for, or None."""
    return Decimal(text) if is_decimal(text) else None


def read_date(text: str) -> Decimal | None:
    """Seconds since 1970, from a date of ISO 8601 (UTC, if it names no zone) or from such seconds; or None."""
    if re.fullmatch(r"[0-9]{4}(-[0-9]{2})?", text):  # a year or a month, which fromisoformat does not know
        text += "-01" if "-" in text else "-01-01"
    try:
        date = datetime.fromisoformat(text) if "-" in text[1:] else None
    except ValueError:
        return None
    if date is None:
        return read_number(text)
    return Decimal(str((date if date.tzinfo else date.replace(tzinfo=UTC)).timestamp()))


def _comparison(read: Callable[[str], Decimal | None], compare: Callable[[Decimal, Decimal], bool]) -> MakeTest:
    """A test that compares quantities; a text that is none fits nothing."""

    def make(value: str, _variables: bool) -> Test:
        limit = read(value)
        if limit is None:
            return _nothing_fits
        return lambda text, _context: (found := read(text)) is not None and compare(found, limit)

    return make


def _nothing_fits(_text: str, _context: Context) -> bool:
    return False


_POSITIVE: Mapping[str, MakeTest] = {
    "StringEquals": _string_equals,
    "StringEqualsIgnoreCase": _string_equals_ignore_case,
    "StringLike": _string_like,
    "NumericEquals": _comparison(read_number, operator.eq),
    "NumericLessThan": _comparison(read_number, operator.lt),
    "NumericLessThanEquals": _comparison(read_number, operator.le),
    "NumericGreaterThan": _comparison(read_number, operator.gt),
    "NumericGreaterThanEquals": _comparison(read_number, operator.ge),
    "DateEquals": _comparison(read_date, operator.eq),
    "DateLessThan": _comparison(read_date, operator.lt),
    "DateLessThanEquals": _comparison(read_date, operator.le),
    "DateGreaterThan": _comparison(read_date, operator.gt),
    "DateGreaterThanEquals": _comparison(read_date, operator.ge),
    "Bool": _bool,
    "BinaryEquals": _binary_equals,
    "IpAddress": _ip_address,
    "ArnEquals": _arn_like,
    "ArnLike": _arn_like,
}
# An operator that holds when no value fits the operator on its right.
NEGATED: Mapping[str, str] = {
    "StringNotEquals": "StringEquals",
    "StringNotEqualsIgnoreCase": "StringEqualsIgnoreCase",
    "StringNotLike": "StringLike",
    "NumericNotEquals": "NumericEquals",
    "DateNotEquals": "DateEquals",
    "NotIpAddress": "IpAddress",
    "ArnNotEquals": "ArnEquals",
    "ArnNotLike": "ArnLike",
}
TESTS: Mapping[str, MakeTest] = {**_POSITIVE, **{name: _POSITIVE[positive] for name, positive in NEGATED.items()}}

"""Conditions: one rule of IAM in each test."""

import base64
from typing import Any

import pytest

from tests.unit.plugin.access.questions import ALLOWED, allow, outcome_of

type Value = str | list[str]


def holds(operator: str, wanted: Any, found: Value | None, version: str = "2012-10-17", **others: str) -> bool:
    """Whether a condition on the key aws:Key is true when the request has this value for it, or lacks it (None)."""
    context: dict[str, Any] = dict(others) if found is None else {**others, "aws:Key": found}
    return outcome_of(allow(Condition={operator: {"aws:Key": wanted}}), version, context=context) is ALLOWED


@pytest.mark.parametrize(
    ("operator", "wanted", "fitting", "other"),
    [
        ("StringEquals", "prod", "prod", "Prod"),
        ("StringEquals", "pr*", "pr*", "prod"),
        ("StringEqualsIgnoreCase", "Prod", "pROD", "prod1"),
        ("StringLike", "p?o*", "prod", "prd"),
        ("StringLike", "prod", "prod", "Prod"),
        ("NumericEquals", "10", "10.0", "1"),
        ("NumericEquals", "10", "1e1", "1_0"),
        ("NumericLessThan", "10", "9", "10"),
        ("NumericLessThanEquals", "10", "10", "10.5"),
        ("NumericGreaterThan", "9", "10", "9"),
        ("NumericGreaterThanEquals", "9", "9", "8.9"),
        ("DateEquals", "2026-01-01T01:00:00+02:00", "2025-12-31T23:00:00Z", "2026-01-01T01:00:00Z"),
        ("DateLessThan", "2026-01-01T00:00:00Z", "2025-12-31T23:59:59Z", "2026-01-01T00:00:00Z"),
        ("DateLessThanEquals", "2026-01-01", "2026-01-01T00:00:00Z", "2026-01-01T00:00:01Z"),
        ("DateGreaterThan", "1767225600", "1767225601", "1767225600"),
        ("DateGreaterThan", "1767225600", "2026-01-01T00:00:01Z", "2026-01-01T00:00:00Z"),
        ("DateGreaterThanEquals", "2026", "2026-01-01T00:00:00Z", "2025-12-31T23:59:59Z"),
        ("DateGreaterThanEquals", "2026-02", "2026-02-01T00:00:00Z", "2026-01-31T23:59:59Z"),
        ("Bool", "true", "true", "false"),
        ("Bool", False, "false", "true"),
        ("IpAddress", "10.0.0.0/8", "10.200.0.1", "11.0.0.1"),
        ("IpAddress", "203.0.113.7", "203.0.113.7", "203.0.113.70"),
        ("IpAddress", "2001:db8::/32", "2001:DB8:0:0::1", "2001:db9::1"),
        ("ArnEquals", "arn:aws:iam::*:role/Train*", "arn:aws:iam::1:role/Trainer", "arn:aws:iam::1:role/X"),
        ("ArnLike", "arn:aws:s3:::da?a", "arn:aws:s3:::data", "arn:aws:s3:::daa"),
    ],
)
def test_an_operator_and_its_negation(operator: str, wanted: Any, fitting: str, other: str) -> None:
    assert holds(operator, wanted, fitting)
    assert not holds(operator, wanted, other)
    negation = "NotIpAddress" if operator == "IpAddress" else operator
    for family in ("String", "Arn", "NumericEquals", "DateEquals"):
        if operator.startswith(family):
            negation = operator.replace("Equals", "NotEquals").replace("Like", "NotLike")
    if negation != operator:
        assert not holds(negation, wanted, fitting)
        assert holds(negation, wanted, other)


def test_binary_equals_compares_bytes() -> None:
    """Byte for byte with the bytes that base 64 stands for: Condition operators, IAM user guide."""
    wanted = base64.b64encode(b"\x00\xffkey").decode()
    assert holds("BinaryEquals", wanted, wanted)
    assert not holds("BinaryEquals", wanted, base64.b64encode(b"\x00\xffKEY").decode())
    assert not holds("BinaryEquals", wanted, None)
    assert not holds("BinaryEquals", "not base 64!", "not base 64!")
    assert holds("BinaryEqualsIfExists", wanted, None)


def test_each_field_of_an_arn_is_compared_for_itself() -> None:
    assert not holds("ArnLike", "arn:aws:s3:*:data", "arn:aws:s3:::data")
    assert not holds("ArnLike", "arn:*:role/Trainer", "arn:aws:iam::1:role/Trainer")
    assert holds("ArnLike", "arn:aws:logs:*:1:log-group:*", "arn:aws:logs:eu-west-1:1:log-group:a:b")


def test_one_value_of_the_policy_is_enough() -> None:
    assert holds("StringEquals", ["dev", "prod"], "prod")


def test_a_negated_operator_holds_when_no_value_fits() -> None:
    assert holds("StringNotEquals", ["dev", "prod"], "test")
    assert not holds("StringNotEquals", ["dev", "prod"], "prod")


def test_all_operators_and_all_keys_must_hold() -> None:
    statement = allow(Condition={"StringEquals": {"aws:a": "1", "aws:b": "2"}, "Bool": {"aws:c": "true"}})
    whole = {"aws:a": "1", "aws:b": "2", "aws:c": "true"}
    assert outcome_of(statement, context=whole) is ALLOWED
    for key in whole:
        assert outcome_of(statement, context={**whole, key: "other"}) is not ALLOWED


def test_the_letter_case_of_a_key_does_not_count() -> None:
    statement = allow(Condition={"StringEquals": {"AWS:principaltag/TEAM": "vision"}})
    assert outcome_of(statement, context={"aws:PrincipalTag/team": "vision"}) is ALLOWED


@pytest.mark.parametrize("operator", ["StringEquals", "StringLike", "NumericLessThan", "Bool", "IpAddress", "ArnLike"])
def test_without_the_key_an_operator_is_false_and_with_if_exists_true(operator: str) -> None:
    assert not holds(operator, "1", None)
    assert holds(f"{operator}IfExists", "1", None)


@pytest.mark.parametrize("operator", ["StringNotEquals", "StringNotLike", "NumericNotEquals", "NotIpAddress"])
def test_without_the_key_a_negated_operator_is_true(operator: str) -> None:
    assert holds(operator, "1", None)
    assert holds(f"{operator}IfExists", "1", None)


def test_with_the_key_if_exists_changes_nothing() -> None:
    assert holds("StringEqualsIfExists", "a", "a")
    assert not holds("StringEqualsIfExists", "a", "b")


def test_null_true_asks_that_the_key_is_absent() -> None:
    assert holds("Null", "true", None)
    assert not holds("Null", "true", "x")
    assert holds("Null", False, "x")
    assert not holds("Null", "false", None)
    assert not holds("Null", "false", [])


def test_for_all_values_asks_every_value_of_the_request() -> None:
    assert holds("ForAllValues:StringEquals", ["env", "team"], ["env"])
    assert not holds("ForAllValues:StringEquals", ["env", "team"], ["env", "owner"])
    assert holds("ForAllValues:StringNotLike", ["o*"], ["env", "team"])
    assert not holds("ForAllValues:StringNotLike", ["o*"], ["env", "owner"])


def test_for_any_value_asks_one_value_of_the_request() -> None:
    assert holds("ForAnyValue:StringEquals", ["env", "team"], ["env", "owner"])
    assert not holds("ForAnyValue:StringEquals", ["env", "team"], ["owner"])
    assert holds("ForAnyValue:StringNotEquals", ["env"], ["env", "owner"])
    assert not holds("ForAnyValue:StringNotEquals", ["env"], ["env"])


def test_without_the_key_for_all_values_is_true_and_for_any_value_false() -> None:
    assert holds("ForAllValues:StringEquals", "env", None)
    assert not holds("ForAnyValue:StringEquals", "env", None)
    assert not holds("ForAnyValue:StringNotEquals", "env", None)


def test_an_empty_text_is_no_value_for_a_set_operator() -> None:
    """ "An empty data set (for example, an empty string)": Multivalued context keys, IAM user guide."""
    assert holds("ForAllValues:StringEquals", "env", [""])
    assert not holds("ForAnyValue:StringLike", "*", [""])


def test_if_exists_wins_over_for_any_value_when_the_key_is_absent() -> None:
    """The documentation says both; IfExists would have no effect otherwise."""
    assert holds("ForAnyValue:StringEqualsIfExists", "env", None)
    assert not holds("ForAnyValue:StringEqualsIfExists", "env", ["owner"])


def test_several_values_without_a_set_operator_are_read_as_any_and_for_a_negation_as_all() -> None:
    """The documentation has no rule for it."""
    assert holds("StringEquals", "a", ["a", "b"])
    assert not holds("StringNotEquals", "a", ["a", "b"])


def test_an_empty_list_of_values_fits_nothing() -> None:
    assert not holds("StringEquals", [], "a")
    assert holds("StringNotEquals", [], "a")


@pytest.mark.parametrize(
    ("operator", "wanted", "found"),
    [
        ("NumericLessThan", "ten", "1"),
        ("NumericLessThan", "10", "one"),
        ("NumericLessThan", "10", "nan"),
        ("NumericLessThan", "Infinity", "1"),
        ("DateLessThan", "tomorrow", "2026-01-01T00:00:00Z"),
        ("DateLessThan", "2026-13-45", "2025-01-01T00:00:00Z"),
        ("IpAddress", "somewhere", "10.0.0.1"),
        ("IpAddress", "10.0.0.0/8", "somewhere"),
        ("IpAddress", "0.0.0.0/0", "::1"),
    ],
)
def test_a_value_that_cannot_be_read_fits_nothing(operator: str, wanted: str, found: str) -> None:
    assert not holds(operator, wanted, found)


def test_variables_are_read_in_texts_and_arns() -> None:
    name = {"aws:username": "alice"}
    assert holds("StringEquals", "${aws:username}", "alice", **name)
    assert holds("StringNotEquals", "${aws:username}", "bob", **name)
    assert holds("StringEqualsIgnoreCase", "${aws:username}", "ALICE", **name)
    assert holds("StringLike", "home/${aws:username}/*", "home/alice/x", **name)
    assert holds("ArnLike", "arn:aws:iam::*:user/${aws:username}", "arn:aws:iam::1:user/alice", **name)
    assert holds("StringLike", "${aws:username, 'n'}?", "nx")
    assert holds("StringLike", "a${*}", "a*")
    assert not holds("StringLike", "a${*}", "ab")


def test_variables_are_not_read_in_the_old_version() -> None:
    assert not holds("StringEquals", "${aws:username}", "alice", "2008-10-17", **{"aws:username": "alice"})


@pytest.mark.parametrize("operator", ["StringEquals", "StringEqualsIgnoreCase", "StringLike", "StringNotEquals"])
def test_a_variable_without_a_value_makes_the_condition_false(operator: str) -> None:
    """ "Any attempt to match it fails and causes the statement to be invalid": Variables and tags, IAM user guide."""
    assert not holds(operator, "${aws:username}", "alice")


def test_a_variable_without_a_value_makes_an_arn_condition_false() -> None:
    assert not holds("ArnLike", "arn:aws:iam::1:user/${aws:username}", "arn:aws:iam::1:user/alice")
    assert not holds("ArnNotLike", "arn:aws:iam::1:user/${aws:username}", "arn:aws:iam::1:user/alice")

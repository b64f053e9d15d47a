"""Ranges of hyperparameters: what is a range, how it is scaled, and how values are written."""

from typing import Any

import pytest

from stagemaker.core.errors import ApiError
from stagemaker.tuning.ranges import Categories, Number, combinations, ranges_of
from tests.unit.plugin.tuning.tuning_requests import COLOURS, continuous, integer


def only(given: dict[str, Any]) -> Any:
    [found] = ranges_of(given)
    return found


def sentence(given: dict[str, Any]) -> str:
    with pytest.raises(ApiError) as caught:
        ranges_of(given)
    assert (caught.value.code, caught.value.status) == ("ValidationException", 400)
    return caught.value.message


def test_each_type_is_read() -> None:
    assert only(integer("layers", "-2", "12", ScalingType="Linear")) == Number("layers", -2, 12, "Linear", True)
    assert only(continuous("rate", "1e-4", "0.1", ScalingType="Logarithmic")) == Number(
        "rate", 0.0001, 0.1, "Logarithmic", False
    )
    assert only(COLOURS) == Categories("colour", ("red", "blue", "green"))


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (integer("a", "5", "4"), "MinValue [5] of the hyperparameter a must not be greater than its MaxValue [4]."),
        (continuous("a", "0.2", "0.1"), "MinValue [0.2] of the hyperparameter a must not be greater"),
        (integer("a", "1.5", "4"), "MinValue of the hyperparameter a must be an integer, not '1.5'."),
        (integer("a", "1", str(2**53 + 1)), "MaxValue of the hyperparameter a must be an integer"),
        (continuous("a", "0", "nan"), "MaxValue of the hyperparameter a must be a number, not 'nan'."),
        (continuous("a", "-inf", "1"), "MinValue of the hyperparameter a must be a number"),
        (continuous("a", "-1e308", "1e308"), "The range of the hyperparameter a is too wide for a number."),
        (continuous("a", "", "1"), "MinValue of the hyperparameter a must be a number"),
        (integer("a", "0", "9", ScalingType="Logarithmic"), "Logarithmic scaling of the hyperparameter a needs values"),
        (integer("a", "1", "9", ScalingType="ReverseLogarithmic"), "is not supported for the integer hyperparameter a"),
        (continuous("a", "0", "1", ScalingType="ReverseLogarithmic"), "needs a range within 0 <= x < 1.0."),
        (continuous("a", "-1", "0", ScalingType="ReverseLogarithmic"), "needs a range within 0 <= x < 1.0."),
        ({"CategoricalParameterRanges": [{"Name": "a", "Values": ["x", "x"]}]}, "has the same value more than once"),
    ],
)
def test_a_range_without_values_is_refused(given: dict[str, Any], said: str) -> None:
    assert said in sentence(given)


def test_auto_scaling_takes_the_logarithm_of_a_range_over_two_orders_of_magnitude() -> None:
    assert only(continuous("a", "0.001", "0.1")).scaling == "Logarithmic"
    assert only(continuous("a", "0.0011", "0.1", ScalingType="Auto")).scaling == "Linear"
    assert only(continuous("a", "0", "100")).scaling == "Linear"
    assert only(integer("a", "1", "100")).scaling == "Logarithmic"


def test_values_are_written_as_aws_writes_them() -> None:
    assert only(continuous("a", "0", "1")).text(0.1015727388941435) == "0.1015727388941435"
    assert only(integer("a", "1", "10")).text(7) == "7"
    assert only(continuous("a", "0.1", "0.3")).text(0.30000000000000004) == "0.3", "never outside of the range"


def test_a_text_is_a_value_only_within_the_range() -> None:
    numbers, colours = only(integer("a", "1", "10")), only(COLOURS)
    assert [numbers.value(text) for text in ("1", "10", "0", "11", "x", "1.0")] == [1, 10, None, None, None, None]
    assert [only(continuous("a", "0", "1")).value(text) for text in ("0.5", "1", "2", "nan")] == [0.5, 1.0, None, None]
    assert [colours.value(text) for text in ("red", "pink")] == ["red", None]


def test_configurations_are_counted_where_they_can_be() -> None:
    assert combinations(ranges_of({**integer("a", "1", "4"), **COLOURS})) == 12
    assert combinations(ranges_of({**continuous("a", "1", "4"), **COLOURS})) is None
    assert combinations(ranges_of({**continuous("a", "4", "4"), **COLOURS})) == 3


@pytest.mark.parametrize(
    ("hint", "expected"),
    [
        ("32", Number("a", 3, 320, "Logarithmic", True)),
        ("1", Number("a", 1, 10, "Logarithmic", True)),
        ("2.0", Number("a", 0.2, 20.0, "Logarithmic", False)),
        ("0.5", Number("a", 0.05, 1.0, "Logarithmic", False)),
        ("True", Categories("a", ("True", "False"))),
        ("false", Categories("a", ("false", "true"))),
        ("adam", Categories("a", ("adam",))),
        ("0", Categories("a", ("0",))),
        ("-3", Categories("a", ("-3",))),
        ("1e400", Categories("a", ("1e400",))),
    ],
)
def test_an_automatic_range_lies_around_its_hint(hint: str, expected: object) -> None:
    assert only({"AutoParameters": [{"Name": "a", "ValueHint": hint}]}) == expected

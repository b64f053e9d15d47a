"""What an endpoint's record keeps of its targets, and what a request changes of them."""

import json
from typing import Any

import pytest

from stagemaker.core.errors import ApiError
from stagemaker.hosting.targets import Desired, VariantTarget, changed_targets, initial_targets

TARGETS = {"a": VariantTarget(2, 1.0), "b": VariantTarget(1, 3.0)}
OTHERS = {"a": VariantTarget(3, 1.0)}


def test_a_configuration_gives_the_first_targets() -> None:
    variants = [
        {"VariantName": "a", "InitialInstanceCount": 2},
        {"VariantName": "b", "InitialInstanceCount": 1, "InitialVariantWeight": 3},
    ]
    assert initial_targets({"ProductionVariants": variants}) == TARGETS


@pytest.mark.parametrize(
    "desired",
    [
        Desired(TARGETS),
        Desired(TARGETS, coming=OTHERS),
        Desired(TARGETS, former=OTHERS),
        Desired(TARGETS, former=TARGETS, rollback_reason="It ended."),
    ],
)
def test_a_record_keeps_what_is_desired_as_json(desired: Desired) -> None:
    record = json.loads(json.dumps({"EndpointName": "end", **desired.members()}))
    assert Desired.of(record) == desired
    assert set(desired.members()) == {"Stagemaker"}


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ([{"VariantName": "a", "DesiredInstanceCount": 5}], {"a": VariantTarget(5, 1.0), "b": TARGETS["b"]}),
        ([{"VariantName": "b", "DesiredWeight": 0}], {"a": TARGETS["a"], "b": VariantTarget(1, 0.0)}),
        (
            [{"VariantName": "a", "DesiredWeight": 2, "DesiredInstanceCount": 1}, {"VariantName": "b"}],
            {"a": VariantTarget(1, 2.0), "b": TARGETS["b"]},
        ),
        (
            [{"VariantName": "a", "DesiredWeight": 7}, {"VariantName": "b", "DesiredWeight": 8}],
            {"a": VariantTarget(2, 7.0), "b": VariantTarget(1, 8.0)},
        ),
    ],
)
def test_a_request_changes_what_it_names(changes: list[dict[str, Any]], expected: dict[str, VariantTarget]) -> None:
    assert changed_targets(TARGETS, changes) == expected


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ([{"VariantName": "c", "DesiredWeight": 1}], "has no production variant c"),
        ([{"VariantName": "a", "DesiredWeight": 1}, {"VariantName": "a", "DesiredWeight": 2}], "more than once"),
        (
            [{"VariantName": "a", "DesiredInstanceCount": 1}, {"VariantName": "b", "DesiredInstanceCount": 1}],
            "for one production variant in a request",
        ),
        ([{"VariantName": "a", "DesiredInstanceCount": 0}], "must be at least 1"),
    ],
)
def test_requests_that_are_refused(changes: list[dict[str, Any]], sentence: str) -> None:
    with pytest.raises(ApiError, match=sentence) as error:
        changed_targets(TARGETS, changes)
    assert (error.value.code, error.value.status) == ("ValidationException", 400)

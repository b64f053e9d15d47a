"""What a change says, and what counts as missing."""

import pytest
from botocore.exceptions import ClientError

from infra.resources.resource import Change, differences, find
from tests.unit.infra.fakes import FakeClient, missing


@pytest.mark.parametrize(
    ("change", "text"),
    [
        (Change("Timeout", 3, 60), "Timeout: 3 -> 60"),
        (Change("Role", None, "arn:one"), "Role: none -> arn:one"),
        (Change("other", ["a"], []), 'other: ["a"] -> []'),
        (Change("Environment", {"V": {"A": "1", "B": "2"}}, {"V": {"A": "1", "B": "3"}}), "Environment.V.B: 2 -> 3"),
        (Change("Settings", {"A": 1, "B": 2}, {"A": 2, "B": 3}), 'Settings: {"A": 1, "B": 2} -> {"A": 2, "B": 3}'),
        (Change("Text", "a" * 101, "b"), f"Text: {'a' * 97}... -> b"),
    ],
)
def test_a_change_in_words(change: Change, text: str) -> None:
    assert str(change) == text


def test_only_what_is_wanted_is_compared() -> None:
    assert differences({"A": 1, "B": 2}, {"A": 1, "B": 3, "C": 4}) == [Change("B", 3, 2)]
    assert differences({"A": 1}, {}) == [Change("A", None, 1)]


def test_what_is_missing_is_no_error_and_all_else_is() -> None:
    client = FakeClient({"one": {"Name": "a"}, "two": missing("NoSuchEntity"), "three": missing("AccessDenied")})
    assert find(client.one) == {"Name": "a"}
    assert find(client.two) is None
    with pytest.raises(ClientError):
        find(client.three)

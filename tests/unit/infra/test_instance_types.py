"""What instance types have, and which to try next."""

import pytest

from infra import presets
from infra.instance_types import TYPES, find, next_types


def test_the_types_of_all_presets_are_known() -> None:
    for path in presets.FOLDER.glob("*.toml"):
        for model in presets.read(path).models:
            assert find(model.training.instance_type), path
            assert find(model.endpoint.instance_type), path


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("ml.g4dn.xlarge", ("ml.g5.xlarge", "ml.g6.xlarge", "ml.g4dn.2xlarge", "ml.m5.2xlarge")),
        ("g4dn.xlarge", ("g5.xlarge", "g6.xlarge", "g4dn.2xlarge", "m5.2xlarge")),
        ("ml.g5.xlarge", ("ml.g6.xlarge", "ml.g5.2xlarge", "ml.m5.2xlarge")),
        ("ml.m5.xlarge", ("ml.m6i.xlarge", "ml.c5.2xlarge", "ml.m5.2xlarge")),
        ("t2.xlarge", ("m5.xlarge", "m6i.xlarge", "t3.xlarge")),
        ("ml.m5.4xlarge", ("ml.m6i.4xlarge",)),
        ("ml.x9.large", ()),
    ],
)
def test_the_next_types_hold_as_much(name: str, expected: tuple[str, ...]) -> None:
    assert next_types(name) == expected


def test_no_type_is_its_own_next() -> None:
    for name in TYPES:
        assert name not in next_types(name)


def test_a_type_says_what_it_has() -> None:
    assert str(find("ml.g4dn.xlarge")) == "4 vCPUs, 16 GiB, one T4 of 16 GiB"
    assert str(find("m5.large")) == "2 vCPUs, 8 GiB"

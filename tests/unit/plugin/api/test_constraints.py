"""Every size, number and choice that AWS's model constrains in the requests about jobs, at its edge and beyond."""

from collections.abc import Iterator
from typing import Any

import botocore.session
import pytest
from botocore.model import Shape

from stagemaker.api.validation import compiled, violations

MODEL = botocore.session.get_session().get_service_model("sagemaker")
OPERATIONS = (
    *(
        f"{verb}{kind}Job"
        for verb in ("Create", "Describe", "Stop", "Delete")
        for kind in ("Training", "HyperParameterTuning", "Processing", "Transform")
        if (verb, kind) != ("Delete", "Transform")
    ),
    *(f"List{kind}Jobs" for kind in ("Training", "HyperParameterTuning", "Processing", "Transform")),
    "ListTrainingJobsForHyperParameterTuningJob",
    "UpdateTrainingJob",
    "Search",
    "GetSearchSuggestions",
    "AddTags",
    "DeleteTags",
    "ListTags",
)
NUMBERS = ("integer", "long", "float", "double")


def constrained(shape: Shape, seen: dict[str, Shape]) -> dict[str, Shape]:
    """Each shape below this one that has a constraint, by its name."""
    if shape.name in seen:
        return seen
    if {"min", "max", "enum", "pattern"} & shape.metadata.keys():
        seen[shape.name] = shape
    if shape.type_name == "structure":
        for member in shape.members.values():
            constrained(member, seen)
    elif shape.type_name == "list":
        constrained(shape.member, seen)
    elif shape.type_name == "map":
        constrained(shape.key, seen)
        constrained(shape.value, seen)
    return seen


SHAPES: dict[str, Shape] = {}
for operation in OPERATIONS:
    constrained(MODEL.operation_model(operation).input_shape, SHAPES)


def sized(shape: Shape, size: int) -> Any:
    """A value of that size, or that number; what is in it is not looked at."""
    if shape.type_name in NUMBERS:
        return size
    if shape.type_name == "list":
        return [None] * size
    if shape.type_name == "map":
        return {str(number): None for number in range(size)}
    return "a" * size


def rules(shape: Shape, value: Any) -> list[str]:
    """What the value itself breaks, but for a pattern."""
    return [v.rule for v in violations(shape, value) if not v.path and "regular expression" not in v.rule]


def edges() -> Iterator[Any]:
    for name, shape in SHAPES.items():
        if "enum" not in shape.metadata:
            for end, step in (("min", -1), ("max", 1)):
                if end in shape.metadata:
                    yield pytest.param(shape, shape.metadata[end], step, id=f"{name}.{end}")


@pytest.mark.parametrize(("shape", "edge", "step"), list(edges()))
def test_the_edge_is_taken_and_what_is_beyond_is_not(shape: Shape, edge: int, step: int) -> None:
    assert rules(shape, sized(shape, edge)) == []
    if edge + step >= 0 or shape.type_name in NUMBERS:
        (rule,) = rules(shape, sized(shape, edge + step))
        word = "value" if shape.type_name in NUMBERS else "length"
        comparison = "greater" if step < 0 else "less"
        assert rule == f"Member must have {word} {comparison} than or equal to {edge}"


@pytest.mark.parametrize("shape", [s for s in SHAPES.values() if "enum" in s.metadata], ids=lambda shape: shape.name)
def test_every_choice_is_taken_and_no_other(shape: Shape) -> None:
    assert [value for value in shape.metadata["enum"] if rules(shape, value)] == []
    (rule,) = rules(shape, "no such value")
    assert rule.startswith("Member must satisfy enum value set: [")


@pytest.mark.parametrize("shape", [s for s in SHAPES.values() if "pattern" in s.metadata], ids=lambda s: s.name)
def test_every_pattern_can_be_read_and_takes_no_more_than_one_line(shape: Shape) -> None:
    if not compiled(shape.metadata["pattern"]).fullmatch("\n"):
        assert any("regular expression" in v.rule for v in violations(shape, "a\n"))


def test_the_model_has_what_this_looks_at() -> None:
    assert len(SHAPES) > 150
    assert {
        "MaximumRetryAttempts",
        "InstanceGroups",
        "ChannelName",
        "AttributeNames",
        "InputDataConfig",
    } <= SHAPES.keys()

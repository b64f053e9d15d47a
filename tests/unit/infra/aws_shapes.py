"""Holds a request against botocore's model of an operation, patterns, lengths and enumerations included."""

import re
from typing import Any

import botocore.session
from botocore.model import ListShape, MapShape, Shape, StructureShape
from botocore.validate import ParamValidator


def problems(shape: Shape, value: Any, path: str = "") -> list[str]:
    """What breaks the pattern, length or enumeration of a shape, which ParamValidator does not look at."""
    if isinstance(shape, StructureShape):
        return [p for name, one in value.items() for p in problems(shape.members[name], one, f"{path}.{name}")]
    if isinstance(shape, ListShape):
        return [p for one in value for p in problems(shape.member, one, f"{path}[]")]
    if isinstance(shape, MapShape):
        return [p for name, one in value.items() for p in problems(shape.value, one, f"{path}.{name}")]
    rules = shape.metadata
    found = []
    if isinstance(value, str):
        if rules.get("enum") and value not in rules["enum"]:
            found.append(f"{path}: {value} is not one of the enumeration")
        if len(value) > rules.get("max", len(value)):
            found.append(f"{path}: {value} is too long")
        pattern = rules.get("pattern", "")
        is_java = r"\p" in pattern or r"\u" in pattern
        if pattern and not is_java and not re.fullmatch(pattern, value):
            found.append(f"{path}: {value} does not match {pattern}")
    return found


def check(service: str, operation: str, request: dict[str, Any]) -> None:
    """Fails unless AWS's model takes the request."""
    shape = botocore.session.get_session().get_service_model(service).operation_model(operation).input_shape
    report = ParamValidator().validate(request, shape)
    assert not report.has_errors(), report.generate_report()
    assert problems(shape, request) == []

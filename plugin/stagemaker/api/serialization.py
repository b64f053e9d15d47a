"""Pure: whether the JSON of a request has the types of botocore's model, which AWS checks before anything else.

LocalStack's parser takes `"10"` for a number, and answers 500 for what it cannot take. The messages are AWS's where
public reports quote one. Null stands for what was not sent.
"""

from typing import Any

from botocore.model import Shape

from stagemaker.core.errors import ApiError
from stagemaker.core.strict_json import read_json

_NUMBERS = {"integer": "an Integer", "long": "a Long", "float": "a Float", "double": "a Double", "timestamp": "a Date"}
_WORDS = {"string": "a String", "boolean": "a Boolean", "blob": "a Blob", **_NUMBERS}


def check_body(body: bytes, shape: Shape | None) -> None:
    """Raise SerializationException (400) for a body that is not JSON, or that has other types than `shape`, the input
    of an operation; None is an operation without input. An empty body has no members."""
    if not body:
        return
    try:
        value = read_json(body)
    except ValueError as error:
        raise refused(f"The request body is not JSON: {error}") from None
    if not isinstance(value, dict):
        raise refused(_message("structure", value))
    if shape is not None:
        _check(shape, value)


def refused(message: str) -> ApiError:
    """AWS's answer to what it cannot read."""
    return ApiError("SerializationException", message)


def _check(shape: Shape, value: Any) -> None:
    if value is None:
        return
    if not _is_a(shape.type_name, value):
        raise refused(_message(shape.type_name, value))
    if shape.type_name == "structure":
        for name, member in shape.members.items():
            _check(member, value.get(name))
    elif shape.type_name == "map":
        for item in value.values():
            _check(shape.value, item)
    elif shape.type_name == "list":
        for item in value:
            _check(shape.member, item)


def _is_a(kind: str, value: Any) -> bool:
    if kind in ("structure", "map"):
        return isinstance(value, dict)
    if kind == "list":
        return isinstance(value, list)
    if kind == "boolean":
        return isinstance(value, bool)
    if kind in _NUMBERS:
        return isinstance(value, int | float) and not isinstance(value, bool)
    return isinstance(value, str)


def _message(kind: str, value: Any) -> str:
    if isinstance(value, list):
        return "Start of list found where not expected"
    if isinstance(value, dict):
        return "Start of structure or map found where not expected."
    if kind not in _WORDS:
        return "Expected list or null" if kind == "list" else "Expected structure or map"
    if isinstance(value, bool):
        token = "TRUE_VALUE" if value else "FALSE_VALUE"
    else:
        token = "STRING_VALUE" if isinstance(value, str) else "NUMBER_VALUE"
    return f"{token} can not be converted to {_WORDS[kind]}"

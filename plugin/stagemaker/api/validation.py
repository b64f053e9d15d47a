"""Whether a request or a response keeps botocore's model of the API: LocalStack checks neither.

Types, required members and least sizes are botocore's ParamValidator; greatest sizes, enums and patterns, which it
leaves to the service, are read from the shapes' metadata, with messages in AWS's wording.
"""

from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from typing import Any

import regex  # type: ignore[import-untyped]  # AWS's patterns are Java's: \p{L}
from botocore.model import Shape
from botocore.validate import ParamValidator

from stagemaker.core.errors import ApiError
from stagemaker.core.patterns import matches

_SURROGATES = r"\uD800\uDC00-\uDBFF\uDFFF"
MATCH_S = 0.5
SHOWN_CHARS = 200  # of a bad value that goes into the message


def validate(shape: Shape | None, request: Mapping[str, Any], code: str = "ValidationException") -> None:
    """Raise ApiError(`code`) that names every broken rule of `shape`; None is an operation without input."""
    if shape is None:
        return
    report = ParamValidator().validate(request, shape)
    if report.has_errors():
        raise ApiError(code, " ".join(report.generate_report().split()))
    if found := list(violations(shape, request)):
        noun = "error" if len(found) == 1 else "errors"
        raise ApiError(code, f"{len(found)} validation {noun} detected: {'; '.join(found)}")


def violations(shape: Shape, value: Any, path: str = "") -> Iterator[str]:
    """One sentence for each broken size, enum and pattern in `value`, which has the types of `shape`."""
    yield from (f"{_at(shape, value, path)} failed to satisfy constraint: {rule}" for rule in _broken(shape, value))
    if shape.type_name == "structure":
        for name, item in value.items():
            if name in shape.members:
                yield from violations(shape.members[name], item, f"{path}.{_lower(name)}" if path else _lower(name))
    elif shape.type_name == "list":
        for index, item in enumerate(value, start=1):
            yield from violations(shape.member, item, f"{path}.{index}.member")
    elif shape.type_name == "map":
        for key, item in value.items():
            yield from violations(shape.key, key, f"{path}.{key}.key")
            yield from violations(shape.value, item, f"{path}.{key}.value")


def _broken(shape: Shape, value: Any) -> Iterator[str]:
    limits, too_long = shape.metadata, False
    if shape.type_name in ("integer", "long", "float", "double"):
        if value < limits.get("min", value):
            yield f"Member must have value greater than or equal to {limits['min']}"
        if value > limits.get("max", value):
            yield f"Member must have value less than or equal to {limits['max']}"
    elif isinstance(value, str | bytes | Sequence | Mapping) and shape.type_name != "structure":
        if len(value) < limits.get("min", 0):
            yield f"Member must have length greater than or equal to {limits['min']}"
        if too_long := len(value) > limits.get("max", len(value)):
            yield f"Member must have length less than or equal to {limits['max']}"
    if shape.type_name == "string":
        if limits.get("enum") and value not in limits["enum"]:
            yield f"Member must satisfy enum value set: [{', '.join(limits['enum'])}]"
        if "pattern" in limits and not too_long and not matches(compiled(limits["pattern"]), value, MATCH_S):
            yield f"Member must satisfy regular expression pattern: {limits['pattern']}"


@cache
def compiled(pattern: str) -> Any:
    """A pattern of AWS's models, which are Java's: the `regex` package knows their `\\p{...}` classes. Java's surrogate
    pairs and `\\z` are rewritten, and a tail that is broken in the model itself (`*${1,128}`) is left out."""
    for java, python in ((_SURROGATES, r"\U00010000-\U0010FFFF"), (r"\z", r"\Z")):
        pattern = pattern.replace(java, python)
    return regex.compile(regex.sub(r"\$\{\d+,\d+\}$", "", pattern))


def _at(shape: Shape, value: Any, path: str) -> str:
    if shape.type_name == "blob" or shape.metadata.get("sensitive"):
        return f"Value at '{path}'"
    return f"Value '{str(value)[:SHOWN_CHARS]}' at '{path}'"


def _lower(name: str) -> str:
    return name[:1].lower() + name[1:]

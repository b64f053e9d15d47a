"""Whether a request or a response keeps botocore's model of the API: LocalStack checks neither.

Required members, sizes, enums and patterns are read from the shapes' metadata, with messages in AWS's wording. Types,
which the request's form has settled before (`adapters/serialization.py`), are left to botocore's ParamValidator.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import regex  # type: ignore[import-untyped]  # AWS's patterns are Java's: \p{L}, and sets within sets
from botocore.model import Shape
from botocore.validate import ParamValidator

from stagemaker.core.errors import ApiError
from stagemaker.core.patterns import matches

_SURROGATES = r"\uD800\uDC00-\uDBFF\uDFFF"
_ESCAPE = regex.compile(r"\\([pP]\{\w+\}|.)")
# What an escape of Java's means, where the `regex` package takes it for more than ASCII, or does not know it.
_JAVA_ESCAPES: Mapping[str, str] = {
    "d": "[0-9]",
    "w": "[a-zA-Z0-9_]",
    "s": r"[ \t\n\x0b\f\r]",
    "S": r"[^ \t\n\x0b\f\r]",
    "z": r"\Z",
    "p{Alnum}": "[a-zA-Z0-9]",
    "p{ASCII}": r"[\x00-\x7f]",
    "p{Print}": r"[\x20-\x7e]",
}
MATCH_S = 0.5
SHOWN_CHARS = 200  # of a bad value that goes into the message
ECR_CODE = "InvalidParameterException"


@dataclass(frozen=True)
class Violation:
    """One broken rule: where, and `subject` and `rule` as AWS's sentence has them."""

    path: str
    rule: str
    subject: str


def invalid_parameter(path: str, rule: str) -> str:
    """ECR's sentence for a parameter that breaks a rule."""
    return f"Invalid parameter at '{path}' failed to satisfy constraint: '{rule}'"


def validate(shape: Shape | None, request: Mapping[str, Any], code: str = "ValidationException") -> None:
    """Raise ApiError(`code`) that names every broken rule of `shape`, or in ECR's words the first; None is an operation
    without input."""
    if shape is None:
        return
    if found := list(violations(shape, request)):
        raise ApiError(code, _ecr_message(found[0]) if code == ECR_CODE else _message(found))
    report = ParamValidator().validate(request, shape)
    if report.has_errors():
        raise ApiError(code, " ".join(report.generate_report().split()))


def violations(shape: Shape, value: Any, path: str = "") -> Iterator[Violation]:
    """Each missing member, broken size, enum and pattern in `value`. What is of another type is passed over."""
    yield from (Violation(path, rule, _subject(shape, value, path)) for rule in _broken(shape, value))
    if shape.type_name == "structure" and isinstance(value, Mapping):
        for name, member in shape.members.items():
            inner = f"{path}.{_lower(name)}" if path else _lower(name)
            if name in value:
                yield from violations(member, value[name], inner)
            elif name in shape.required_members:
                yield Violation(inner, "Member must not be null", f"Value null at '{inner}'")
    elif shape.type_name == "list" and isinstance(value, list):
        for index, item in enumerate(value, start=1):
            yield from violations(shape.member, item, f"{path}.{index}.member")
    elif shape.type_name == "map" and isinstance(value, Mapping):
        for key, item in value.items():
            yield from violations(shape.key, key, f"{path}.{key}.key")
            yield from violations(shape.value, item, f"{path}.{key}.value")


def _message(found: Sequence[Violation]) -> str:
    noun = "error" if len(found) == 1 else "errors"
    sentences = [f"{each.subject} failed to satisfy constraint: {each.rule}" for each in found]
    return f"{len(found)} validation {noun} detected: {'; '.join(sentences)}"


def _ecr_message(found: Violation) -> str:
    """ECR names the first broken rule only, and says all but those of enums without AWS's common first word."""
    rule = found.rule
    if " enum " not in rule:
        rule = rule.removeprefix("Member ")
    if rule.startswith(pattern := "must satisfy regular expression pattern: "):
        rule = f"must satisfy regular expression '{rule.removeprefix(pattern)}'"
    return invalid_parameter(found.path, rule)


def _broken(shape: Shape, value: Any) -> Iterator[str]:
    limits, too_long = shape.metadata, False
    if shape.type_name in ("integer", "long", "float", "double") and isinstance(value, int | float):
        if value < limits.get("min", value):
            yield f"Member must have value greater than or equal to {limits['min']}"
        if value > limits.get("max", value):
            yield f"Member must have value less than or equal to {limits['max']}"
    elif isinstance(value, str | bytes | Sequence | Mapping) and shape.type_name != "structure":
        if len(value) < limits.get("min", 0):
            yield f"Member must have length greater than or equal to {limits['min']}"
        if too_long := len(value) > limits.get("max", len(value)):
            yield f"Member must have length less than or equal to {limits['max']}"
    if shape.type_name == "string" and isinstance(value, str):
        if limits.get("enum") and value not in limits["enum"]:
            yield f"Member must satisfy enum value set: [{', '.join(limits['enum'])}]"
        if "pattern" in limits and not too_long and not matches(compiled(limits["pattern"]), value, MATCH_S):
            yield f"Member must satisfy regular expression pattern: {limits['pattern']}"


@cache
def compiled(pattern: str) -> Any:
    r"""A pattern of AWS's models, which are Java's: `\d`, `\w` and `\s` mean ASCII, `\p{L}` and its like Unicode.
    Surrogate pairs are rewritten too, and a tail that is broken in the model itself (`*${1,128}`) is left out."""
    pattern = regex.sub(r"\$\{\d+,\d+\}$", "", pattern.replace(_SURROGATES, r"\U00010000-\U0010FFFF"))
    pattern = _ESCAPE.sub(lambda found: _JAVA_ESCAPES.get(found[1], found[0]), pattern)
    return regex.compile(pattern, regex.VERSION1)


def _subject(shape: Shape, value: Any, path: str) -> str:
    if shape.type_name == "blob" or shape.metadata.get("sensitive"):
        return f"Value at '{path}'"
    return f"Value '{str(value)[:SHOWN_CHARS]}' at '{path}'"


def _lower(name: str) -> str:
    return name[:1].lower() + name[1:]

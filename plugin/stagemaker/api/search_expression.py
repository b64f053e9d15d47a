"""Search: which records an expression of filters finds, in which order, and which names it may use. Pure.

AWS source: Search and the data types of its request in the API reference; SearchRecord lists the properties.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from stagemaker.core.errors import ApiError, validation_error
from stagemaker.core.numbers import finite_number

MOST_CONDITIONS = 50  # AWS's: of an expression, whatever its depth
CONTAINS_ONCE = "'CONTAINS' operator usage limit of 1 exceeded."  # AWS's
_COMPARISONS: Mapping[str, Callable[[float, float], bool]] = {
    "Equals": lambda found, wanted: found == wanted,
    "NotEquals": lambda found, wanted: found != wanted,
    "GreaterThan": lambda found, wanted: found > wanted,
    "GreaterThanOrEqualTo": lambda found, wanted: found >= wanted,
    "LessThan": lambda found, wanted: found < wanted,
    "LessThanOrEqualTo": lambda found, wanted: found <= wanted,
}
_ON_TEXT: Mapping[str, Callable[[str, str], bool]] = {
    "Equals": lambda found, wanted: found == wanted,
    "NotEquals": lambda found, wanted: found != wanted,
    "Contains": lambda found, wanted: wanted in found,
    "In": lambda found, wanted: found in [each.strip() for each in wanted.split(",")],
}
Found = Mapping[str, Any]  # a resource as a result shows it, its moments in epoch seconds


@dataclass(frozen=True)
class Properties:
    """The names that a kind of resource has. HyperParameters, Metrics and Tags have the caller's own below them."""

    names: frozenset[str]

    def check(self, name: str) -> None:
        """ValidationException for a property that no resource of the kind can have."""
        if name.partition(".")[0] not in self.names | {"Metrics", "Tags"}:
            raise validation_error(f"Unknown property name: {name}")


def is_found(resource: Found, expression: Mapping[str, Any]) -> bool:
    """Whether the expression is true of the resource. Call `check` before."""
    conditions = (
        *(_holds(resource, each) for each in expression.get("Filters", ())),
        *(_holds_of_an_element(resource, each) for each in expression.get("NestedFilters", ())),
        *(is_found(resource, each) for each in expression.get("SubExpressions", ())),
    )
    return any(conditions) if expression.get("Operator") == "Or" else all(conditions)


def check(expression: Mapping[str, Any], properties: Properties) -> None:
    """Raise ValidationException for an expression that AWS would not take."""
    filters = list(_filters(expression))
    if not filters:
        raise validation_error("A SearchExpression needs at least one of Filters, NestedFilters and SubExpressions.")
    if len(filters) > MOST_CONDITIONS:
        raise validation_error(f"A SearchExpression has at most {MOST_CONDITIONS} conditions; it has {len(filters)}.")
    if [each.get("Operator") for each in filters].count("Contains") > 1:
        raise validation_error(CONTAINS_ONCE)
    for each in filters:
        properties.check(each["Name"])
        if "Value" not in each and each.get("Operator") not in ("Exists", "NotExists"):
            raise validation_error(f"The filter of {each['Name']} has no Value.")


def sort_key(resource: Found, name: str) -> float | str | None:
    """What the resource is sorted by, or None when it has no such property."""
    return next((value for value in values(resource, name) if isinstance(value, float | int | str)), None)


def values(resource: Any, name: str) -> Iterator[Any]:
    """All that the resource has under the property: of a list, that of each element."""
    if isinstance(resource, list | tuple):
        for element in resource:
            yield from values(element, name)
        return
    if not isinstance(resource, Mapping):
        return
    first, _, rest = name.partition(".")
    if first == "Metrics":
        yield from (each["Value"] for each in resource.get("FinalMetricDataList", ()) if each["MetricName"] == rest)
    elif first == "Tags" and rest:
        yield from (tag["Value"] for tag in resource.get("Tags", ()) if tag["Key"] == rest)
    elif first == "HyperParameters" and rest:
        yield from (value for key, value in resource.get("HyperParameters", {}).items() if key == rest)
    elif first in resource:
        yield from values(resource[first], rest) if rest else _elements(resource[first])


def suggestions(resources: Iterable[Found], properties: Properties, hint: str) -> list[str]:
    """The property names that begin with the hint, whatever its case: the kind's, and the callers' below some."""
    names = set(properties.names)
    for resource in resources:
        names |= {f"HyperParameters.{name}" for name in resource.get("HyperParameters", ())}
        names |= {f"Metrics.{each['MetricName']}" for each in resource.get("FinalMetricDataList", ())}
        names |= {f"Tags.{tag['Key']}" for tag in resource.get("Tags", ())}
    return sorted(name for name in names if name.lower().startswith(hint.lower()))


def _filters(expression: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    yield from expression.get("Filters", ())
    for nested in expression.get("NestedFilters", ()):
        yield from nested["Filters"]
    for part in expression.get("SubExpressions", ()):
        yield from _filters(part)


def _holds_of_an_element(resource: Found, nested: Mapping[str, Any]) -> bool:
    """Whether one element of the list has all that the filters ask for."""
    name = nested["NestedPropertyName"]
    elements = list(values(resource, name))
    filters = [{**each, "Name": each["Name"].removeprefix(f"{name}.")} for each in nested["Filters"]]
    return any(all(_holds(element, each) for each in filters) for element in elements)


def _holds(resource: Found, condition: Mapping[str, Any]) -> bool:
    name, operator = str(condition["Name"]), str(condition.get("Operator", "Equals"))
    found = list(values(resource, name))
    if operator in ("Exists", "NotExists"):
        return bool(found) == (operator == "Exists")
    if operator == "NotEquals":
        return bool(found) and all(_compare(name, value, operator, condition["Value"]) for value in found)
    return any(_compare(name, value, operator, condition["Value"]) for value in found)


def _compare(name: str, found: Any, operator: str, wanted: str) -> bool:
    numbers = _as_numbers(name, found, wanted)
    if numbers is not None:
        if operator not in _COMPARISONS:
            raise validation_error(f"The operator {operator} is only supported for text properties, not for {name}.")
        return _COMPARISONS[operator](*numbers)
    if operator not in _ON_TEXT:
        raise validation_error(f"The operator {operator} is not supported for the text property {name}.")
    text = str(found).lower() if isinstance(found, bool) else str(found)
    return _ON_TEXT[operator](text, wanted.lower() if isinstance(found, bool) else wanted)


def _as_numbers(name: str, found: Any, wanted: str) -> tuple[float, float] | None:
    """Both as numbers where they are to be compared so; None: as text. A hyperparameter is text, and is compared as a
    number with one."""
    if isinstance(found, str) and name.startswith("HyperParameters."):
        numbers = finite_number(found), finite_number(wanted)
        return numbers if None not in numbers else None  # type: ignore[return-value]
    if isinstance(found, bool) or not isinstance(found, int | float):
        return None
    if name.endswith("Time"):
        return found, _moment(name, wanted)
    number = finite_number(wanted)
    if number is None:
        raise validation_error(f"The Value for {name} must be a number, not '{wanted}'.")
    return found, number


def _moment(name: str, text: str) -> float:
    """Epoch seconds of `YYYY-mm-dd'T'HH:MM:SS`, in UTC unless it says another zone."""
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise _no_moment(name, text) from None
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()


def _no_moment(name: str, text: str) -> ApiError:
    return validation_error(f"The Value for {name} must be a time such as 2026-11-26T08:00:00, not '{text}'.")


def _elements(value: Any) -> Iterator[Any]:
    if isinstance(value, list | tuple):
        yield from value
    else:
        yield value

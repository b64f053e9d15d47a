"""Members of a request that AWS takes and we do not yet: each is refused by its name, never quietly dropped."""

from collections.abc import Iterator, Mapping
from typing import Any

from stagemaker.core.errors import ApiError


def not_supported(what: str) -> ApiError:
    """501 for a part of an operation that is not implemented, as the adapter answers for a whole operation."""
    return ApiError("NotImplementedException", f"Stagemaker does not implement {what} yet.", 501)


def refuse(request: Mapping[str, Any], members: Mapping[str, str]) -> None:
    """Raise 501 for the first of `members` (member: what it asks for) that the request sets; False asks for nothing."""
    for member, what in members.items():
        if request.get(member):
            raise not_supported(f"{what} ({member})")


def refused_members(request: Mapping[str, Any], rules: Mapping[str, tuple[Any, ...]]) -> Iterator[str]:
    """The members that the request sets to another value than those accepted, as a sentence names them. `rules`: the
    path of a member -> its accepted values."""
    for path, accepted in rules.items():
        value: Any = request
        for name in path.split("."):
            value = value.get(name) if isinstance(value, Mapping) else None
        if value is not None and value not in accepted:
            yield f"{path}={value}" if isinstance(value, str | int) else path

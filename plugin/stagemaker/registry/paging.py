"""ECR's Describe and List operations page in one way: `maxResults` and `nextToken`, in the order of a key."""

import base64
from collections.abc import Mapping
from typing import Any

from stagemaker.api.unsupported import not_supported
from stagemaker.core.refs import Scope
from stagemaker.registry.errors import invalid_at

DEFAULT_PAGE = 100  # AWS's, for all of them


def page(items: Mapping[str, Any], request: Mapping[str, Any]) -> tuple[list[Any], dict[str, str]]:
    """The values of one page, in the order of their keys, and `{"nextToken": ...}` unless it is the last.

    A token holds the last key, so that what is made or deleted meanwhile shifts nothing."""
    keys = sorted(items)
    if "nextToken" in request:
        try:
            last = base64.b64decode(request["nextToken"].encode(), altchars=b"-_", validate=True).decode()
        except ValueError:
            raise invalid_at("nextToken", "it is not the token of a page of this listing") from None
        keys = [key for key in keys if key > last]
    size = request.get("maxResults", DEFAULT_PAGE)
    shown = keys[:size]
    more = {"nextToken": base64.urlsafe_b64encode(shown[-1].encode()).decode()} if len(keys) > size else {}
    return [items[key] for key in shown], more


def refuse_foreign(scope: Scope, request: Mapping[str, Any]) -> None:
    """501 for the registry of another account: that needs its repository policy to be enforced."""
    if request.get("registryId", scope.account) != scope.account:
        raise not_supported("the registry of another account (registryId)")

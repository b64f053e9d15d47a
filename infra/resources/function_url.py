"""The address by which curl and web pages call the function. AWS closes one until the function's policy opens it."""

import json
from collections.abc import Iterable
from functools import partial
from typing import Any

from infra.blueprint import URL_STATEMENTS, Blueprint
from infra.clients import Clients
from infra.patience import once_seen
from infra.resources import titles
from infra.resources.resource import Change, Resource, State, differences, find


class FunctionUrl(Resource):
    """The URL of the function's alias, which anybody may call, or those whom IAM allows."""

    title = titles.FUNCTION_URL
    depends_on = (titles.FUNCTION_ALIAS,)

    def __init__(self, clients: Clients, blueprint: Blueprint) -> None:
        self._lambda, self.is_wanted = clients.lambda_, blueprint.settings.function.url
        self._request, self._permissions = blueprint.function_url_request(), blueprint.function_url_permissions()
        self._place = {name: self._request[name] for name in ("FunctionName", "Qualifier")}
        self.name = f"{self._place['FunctionName']}:{self._place['Qualifier']}"

    def read(self) -> State | None:
        """GetFunctionUrlConfig's answer, with the `statements` of the alias's policy by their ids."""
        found = find(self._lambda.get_function_url_config, **self._place)
        return None if found is None else {**found, "Cors": found.get("Cors") or {}, "statements": self._statements()}

    def diff(self, state: State) -> list[Change]:
        """Who may call it."""
        missing = [each["StatementId"] for each in self._permissions if each["StatementId"] not in state["statements"]]
        permissions = [Change("Policy", None, name) for name in missing]
        permissions += [Change("Policy", name, None) for name in self._too_many(state["statements"])]
        return [*differences({"AuthType": self._request["AuthType"]}, state), *self._of_pages(state), *permissions]

    def create(self) -> str:
        """Make it, and open it."""
        made = once_seen(partial(self._lambda.create_function_url_config, **self._request))
        self._open(self._statements())
        return str(made["FunctionUrl"])

    def update(self, state: State, changes: list[Change]) -> str:
        """Change who may call it."""
        if any(change.member != "Policy" for change in changes):
            self._lambda.update_function_url_config(**self._request)
        self._open(state["statements"])
        self._close(self._too_many(state["statements"]))
        return str(state["FunctionUrl"])

    def delete(self) -> None:
        """Delete it, and what opened it."""
        self._lambda.delete_function_url_config(**self._place)
        self._close(name for name in self._statements() if name in URL_STATEMENTS)

    def remark(self, state: State) -> str:
        """The URL itself."""
        return str(state["FunctionUrl"])

    def _of_pages(self, state: State) -> list[Change]:
        """AWS adds members that nobody sent."""
        wanted, found = self._request["Cors"], state["Cors"]
        is_same = all(found.get(name) == value for name, value in wanted.items()) if wanted else not found
        return [] if is_same else [Change("Cors", found, wanted)]

    def _too_many(self, there: list[str]) -> list[str]:
        """What opened it to anybody, before it was closed to all but callers of IAM."""
        wanted = [permission["StatementId"] for permission in self._permissions]
        return [name for name in there if name in URL_STATEMENTS and name not in wanted]

    def _close(self, names: Iterable[str]) -> None:
        for name in names:
            self._lambda.remove_permission(**self._place, StatementId=name)

    def _statements(self) -> list[str]:
        policy = find(self._lambda.get_policy, **self._place)
        statements: list[dict[str, Any]] = json.loads(policy["Policy"])["Statement"] if policy else []
        return [str(each.get("Sid")) for each in statements]

    def _open(self, there: list[str]) -> None:
        for permission in self._permissions:
            if permission["StatementId"] not in there:
                self._lambda.add_permission(**permission)

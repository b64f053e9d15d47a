"""The alias by which the function is called, its version, and what of it waits warm."""

import time
from functools import partial
from pathlib import Path

from infra.blueprint import ALIAS, Blueprint
from infra.clients import Clients
from infra.errors import StepFailed
from infra.patience import once_free, once_seen, watch
from infra.resources import titles
from infra.resources.function import BUSY, NO_KEY, digest_of, pack
from infra.resources.resource import Change, Resource, State, differences, find
from infra.wait import poll

_WAIT_LIMIT_S = 600.0  # AWS takes minutes to provision
_PROVISIONED = "ProvisionedConcurrentExecutions"


class FunctionAlias(Resource):
    """The alias, on a version that is the function as it is wanted, with its provisioned concurrency. Older versions
    stay until the function is deleted: an alias can be set back to one."""

    title = titles.FUNCTION_ALIAS
    depends_on = (titles.FUNCTION,)

    def __init__(self, clients: Clients, blueprint: Blueprint, handler: Path) -> None:
        self._lambda, self._poll_s = clients.lambda_, clients.poll_s
        self._function, self._alias = blueprint.function, {"FunctionName": blueprint.function, "Name": ALIAS}
        self._place = {"FunctionName": blueprint.function, "Qualifier": ALIAS}
        self._version = {**NO_KEY, **blueprint.function_request(), "CodeSha256": digest_of(pack(handler))}
        self._provisioned = blueprint.settings.function.provisioned
        self.name = f"{blueprint.function}:{ALIAS}"

    def read(self) -> State | None:
        """The version's configuration, with the alias's FunctionVersion and ProvisionedConcurrentExecutions."""
        alias = find(self._lambda.get_alias, **self._alias)
        if alias is None:
            return None
        version = alias["FunctionVersion"]
        found = find(self._lambda.get_function_configuration, FunctionName=self._function, Qualifier=version) or {}
        provisioned = find(self._lambda.get_provisioned_concurrency_config, **self._place) or {}
        number = provisioned.get(f"Requested{_PROVISIONED}", 0)
        return {**found, "FunctionVersion": version, _PROVISIONED: number, "Status": provisioned.get("Status", "READY")}

    def diff(self, state: State) -> list[Change]:
        """Of its version's code and settings, and of what waits warm."""
        changes = differences({**self._version, _PROVISIONED: self._provisioned}, {**NO_KEY, **state})
        return changes or differences({"Status": "READY"}, state)

    def create(self) -> str:
        """Publish a version, and name it. Raises StepFailed when what should wait warm cannot be initialised."""
        version = self._publish()
        once_seen(partial(self._lambda.create_alias, **self._alias, FunctionVersion=version))
        self._provision(0)
        return f"version {version}"

    def update(self, state: State, changes: list[Change]) -> str:
        """Publish another version where it differs, and provision. Raises as `create`."""
        version = state["FunctionVersion"]
        if any(change.member in self._version for change in changes):
            version = self._publish()
            self._lambda.update_alias(**self._alias, FunctionVersion=version)
        self._provision(state[_PROVISIONED] if state["Status"] != "FAILED" else None)
        return f"version {version}"

    def delete(self) -> None:
        """Delete it, and what waits warm; its versions go with the function."""
        if find(self._lambda.get_provisioned_concurrency_config, **self._place):
            self._lambda.delete_provisioned_concurrency_config(**self._place)
        self._lambda.delete_alias(**self._alias)

    def remark(self, state: State) -> str:
        """Its version."""
        return f"version {state['FunctionVersion']}"

    def _publish(self) -> str:
        """The number of a version of the function as it is now: the last one, when nothing has changed since."""
        published = once_free(partial(self._lambda.publish_version, FunctionName=self._function), BUSY)
        version, deadline = str(published["Version"]), time.monotonic() + _WAIT_LIMIT_S
        describe = partial(self._lambda.get_function_configuration, FunctionName=self._function, Qualifier=version)
        look = watch(describe, f"Version {version} of the function {self._function}")
        while True:
            found = look()
            if found["State"] == "Active":
                return version
            self._pause(found["State"] == "Failed", deadline, "Active", found.get("StateReason"))

    def _provision(self, found: int | None) -> None:
        """`found` are provisioned now; None: they failed."""
        if self._provisioned == 0 and found != 0:
            self._lambda.delete_provisioned_concurrency_config(**self._place)
        elif self._provisioned != found:
            request = {**self._place, _PROVISIONED: self._provisioned}
            once_free(partial(self._lambda.put_provisioned_concurrency_config, **request), BUSY)
        deadline = time.monotonic() + _WAIT_LIMIT_S
        describe = partial(self._lambda.get_provisioned_concurrency_config, **self._place)
        look = watch(describe, f"The provisioned concurrency of {self.name}")
        while self._provisioned:
            now = look()
            if now["Status"] == "READY":
                return
            self._pause(now["Status"] == "FAILED", deadline, "its provisioned concurrency", now.get("StatusReason"))

    def _pause(self, failed: bool, deadline: float, wanted: str, reason: str | None) -> None:
        if failed or time.monotonic() > deadline:
            told = f"The alias {self.name} cannot be used: {reason or 'it was not ready in time'}."
            raise StepFailed(told, "Read the function's log, and run it again.")
        poll(self._poll_s, wanted)

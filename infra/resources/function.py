"""The Lambda function: its code is one file, packed so that the same file gives the same digest on every machine."""

import base64
import hashlib
import io
import time
import zipfile
from functools import partial
from pathlib import Path

from infra import ownership
from infra.blueprint import Blueprint
from infra.clients import Clients
from infra.errors import StepFailed
from infra.patience import LAMBDA, once_free, once_role_is_known, watch
from infra.resources import titles
from infra.resources.resource import Change, Resource, State, differences, find
from infra.wait import poll

_WAIT_LIMIT_S = 120.0
_RESERVED = "ReservedConcurrentExecutions"
NO_KEY = {"KMSKeyArn": ""}  # how a request says so; an answer has no such member
BUSY = "ResourceConflictException"  # another change of the function is going on


def pack(handler: Path) -> bytes:
    """A zip of the handler: fixed time and mode, so that CodeSha256 depends on nothing but its content."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        member = zipfile.ZipInfo("handler.py", date_time=(1980, 1, 1, 0, 0, 0))
        member.external_attr = 0o644 << 16
        archive.writestr(member, handler.read_bytes())
    return buffer.getvalue()


def digest_of(code: bytes) -> str:
    """CodeSha256, as Lambda says it."""
    return base64.b64encode(hashlib.sha256(code).digest()).decode()


class Function(Resource):
    """The blueprint's function with the handler's code and its reserved concurrency, ready for calls."""

    title = titles.FUNCTION

    def __init__(self, clients: Clients, blueprint: Blueprint, handler: Path) -> None:
        self._lambda, self._iam, self._poll_s = clients.lambda_, clients.iam, clients.poll_s
        self._request, self._tags, self._code = blueprint.function_request(), blueprint.tags, pack(handler)
        self._reserved = blueprint.settings.function.reserved
        endpoint = titles.of_model(titles.ENDPOINT, blueprint.settings.called_model.name)
        self.name, self.depends_on = blueprint.function, (titles.LAMBDA_ROLE, endpoint, titles.FUNCTION_LOG)

    def read(self) -> State | None:
        """GetFunction's configuration with ReservedConcurrentExecutions, None without. Raises NotOurs when somebody
        else has made a function of that name."""
        found = find(self._lambda.get_function, FunctionName=self.name)
        if not found:
            return None
        tags = [{"Key": key, "Value": value} for key, value in found.get("Tags", {}).items()]
        ownership.check(self.title, self.name, tags, self._tags)
        return {**found["Configuration"], _RESERVED: found.get("Concurrency", {}).get(_RESERVED)}

    def diff(self, state: State) -> list[Change]:
        """Its code, its settings and its state. One whose creation failed is made anew."""
        if state["State"] == "Failed":
            return [Change("State", "Failed", "Active", replaces=True)]
        wanted = {**NO_KEY, **self._request, "CodeSha256": digest_of(self._code), _RESERVED: self._reserved}
        changes = differences(wanted, {**NO_KEY, **state})
        return changes if _is_ready(state) else [*changes, Change("State", state["State"], "Active")]

    def create(self) -> str:
        """Make it, and wait until it is Active. Raises StepFailed when it does not get there, or Lambda cannot assume
        its role."""
        tags = {tag["Key"]: tag["Value"] for tag in self._tags}
        create = partial(self._lambda.create_function, **self._request, Code={"ZipFile": self._code}, Tags=tags)
        once_role_is_known(create, self._iam, self._request["Role"], LAMBDA)
        self._wait()
        self._reserve(None)
        return ""

    def update(self, state: State, changes: list[Change]) -> str:
        """Send the code and the settings, where they differ, one after the other. Raises as `create`."""
        members = {change.member for change in changes}
        self._wait()  # Lambda takes no change while another is going on
        if "CodeSha256" in members:
            once_free(partial(self._lambda.update_function_code, FunctionName=self.name, ZipFile=self._code), BUSY)
            self._wait()
        if members & {*NO_KEY, *self._request}:
            request = {**(NO_KEY if state.get("KMSKeyArn") else {}), **self._request}
            update = partial(once_free, partial(self._lambda.update_function_configuration, **request), BUSY)
            once_role_is_known(update, self._iam, self._request["Role"], LAMBDA)
            self._wait()
        self._reserve(state.get(_RESERVED))
        return ""

    def delete(self) -> None:
        """Delete it; its log is a resource of its own."""
        self._lambda.delete_function(FunctionName=self.name)

    def _reserve(self, found: int | None) -> None:
        if self._reserved is None and found is not None:
            self._lambda.delete_function_concurrency(FunctionName=self.name)
        elif self._reserved != found:
            place = {"FunctionName": self.name, _RESERVED: self._reserved}
            once_free(partial(self._lambda.put_function_concurrency, **place), BUSY)

    def _wait(self) -> None:
        deadline = time.monotonic() + _WAIT_LIMIT_S
        describe = partial(self._lambda.get_function_configuration, FunctionName=self.name)
        look = watch(describe, f"The function {self.name}")
        while True:
            found = look()
            if _is_ready(found):
                return
            if found["State"] == "Failed" or time.monotonic() > deadline:
                reason = found.get("StateReason") or "it did not become Active"
                raise StepFailed(
                    f"The function {self.name} is {found['State']}: {reason}.",
                    "Read the stack's log, and run it again.",
                )
            poll(self._poll_s, "Active")


def _is_ready(state: State) -> bool:
    return state["State"] in ("Active", "Inactive") and state.get("LastUpdateStatus") != "InProgress"

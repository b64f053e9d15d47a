"""The Lambda function: its code is one file, packed so that the same file gives the same digest on every machine."""

import base64
import hashlib
import io
import time
import zipfile
from pathlib import Path
from typing import Any

from botocore.exceptions import ClientError

from infra.clients import Clients
from infra.errors import StepFailed
from infra.plan import Plan
from infra.resources import CREATED, UNCHANGED, UPDATED, Change, is_missing
from infra.resources.logs import destroy_group

_WAIT_LIMIT_S = 120.0


def pack(handler: Path) -> bytes:
    """A zip of the handler: fixed time and mode, so that CodeSha256 depends on nothing but its content."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        member = zipfile.ZipInfo("handler.py", date_time=(1980, 1, 1, 0, 0, 0))
        member.external_attr = 0o644 << 16
        archive.writestr(member, handler.read_bytes())
    return buffer.getvalue()


def ensure_function(clients: Clients, plan: Plan, handler: Path) -> Change:
    """The function with this code and these settings, Active. Raises StepFailed when it does not get there."""
    code, request = pack(handler), plan.function_request()
    found = _find(clients.lambda_, plan.function)
    change: Change = UNCHANGED
    if found is None:
        tags = {tag["Key"]: tag["Value"] for tag in plan.tags}
        clients.lambda_.create_function(**request, Code={"ZipFile": code}, Tags=tags)
        change = CREATED
    else:
        if found["CodeSha256"] != base64.b64encode(hashlib.sha256(code).digest()).decode():
            clients.lambda_.update_function_code(FunctionName=plan.function, ZipFile=code)
            _wait(clients, plan.function)
            change = UPDATED
        if any(found.get(key) != value for key, value in request.items()):
            clients.lambda_.update_function_configuration(**request)
            change = UPDATED
    _wait(clients, plan.function)
    return change


def destroy_function(clients: Clients, plan: Plan) -> bool:
    """Delete the function and its log; whether there was one."""
    found = _find(clients.lambda_, plan.function) is not None
    if found:
        clients.lambda_.delete_function(FunctionName=plan.function)
    destroy_group(clients.logs, plan.function_logs)
    return found


def _find(lambda_: Any, name: str) -> dict[str, Any] | None:
    try:
        return dict(lambda_.get_function_configuration(FunctionName=name))
    except ClientError as error:
        if not is_missing(error):
            raise
        return None


def _wait(clients: Clients, name: str) -> None:
    deadline = time.monotonic() + _WAIT_LIMIT_S
    while True:
        found = clients.lambda_.get_function_configuration(FunctionName=name)
        if found["State"] in ("Active", "Inactive") and found.get("LastUpdateStatus") != "InProgress":
            return
        if found["State"] == "Failed" or time.monotonic() > deadline:
            reason = found.get("StateReason") or "it did not become Active"
            raise StepFailed(
                f"The function {name} is {found['State']}: {reason}.", "Read the stack's log, and run it again."
            )
        time.sleep(clients.poll_s)

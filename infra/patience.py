"""Calls that AWS refuses at first, and takes some seconds later: what they name was made or changed a moment ago.

IAM tells all services of a new role within seconds, and until then they answer as if nobody could assume it. A function
that is being changed takes no other change, and what was just made may not be found yet. Such calls are sent again, for
a bounded time, and the reader learns what they wait for.
"""

import json
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from fnmatch import fnmatchcase
from typing import Any

from botocore.exceptions import ClientError

from infra.errors import StepFailed
from infra.resources.resource import error_code, find, is_missing
from infra.wait import pause

SAGEMAKER, LAMBDA = "sagemaker.amazonaws.com", "lambda.amazonaws.com"  # who assumes the roles
ROLE_LIMIT_S = 120.0  # (ours) IAM's guide speaks of seconds
SEEN_LIMIT_S = 60.0  # (ours)
GONE_S = 5.0  # (ours) after which what is not found is gone: a copy of AWS's records may lag behind for a moment
BUSY_LIMIT_S = 300.0  # (ours)
FIRST_PAUSE_S, LONGEST_PAUSE_S = 0.5, 5.0  # (ours) each pause is twice as long as the one before

_LACKS: ContextVar[Callable[[], bool]] = ContextVar("lacks", default=lambda: False)

# How a service says that it cannot assume a role: the code, and words of the message, since the codes are those of any
# bad value. As people have reported them.
NO_MODEL_DATA = ("ValidationException", "Could not access model data")  # CreateModel
_ROLE_REFUSALS = (
    ("ValidationException", "Could not assume role"),  # CreateTrainingJob, CreateTransformJob and their like
    ("ValidationException", "The execution role ARN"),  # CreateModel
    NO_MODEL_DATA,  # its policy is not known yet; CreateModel says no other words where the object is missing
    ("InvalidParameterValueException", "cannot be assumed by Lambda"),
)


def message_of(error: ClientError) -> str:
    """AWS's sentence."""
    return str(error.response["Error"].get("Message", ""))


def says(error: ClientError, code: str, words: str) -> bool:
    """Whether the error has the code, and the words in its message."""
    return error_code(error) == code and words in message_of(error)


@contextmanager
def unless(lacks: Callable[[], bool]) -> Iterator[None]:
    """Inside, calls are not sent again once `lacks` says that something which they need is gone, such as a role. It is
    asked before each try that comes after GONE_S."""
    before = _LACKS.set(lacks)
    try:
        yield
    finally:
        _LACKS.reset(before)


def patiently[T](call: Callable[[], T], passes: Callable[[ClientError], bool], reason: str, limit_s: float) -> T:
    """What the call answers. It is sent again while it is refused in a way that `passes` says will pass, for `limit_s`
    at most, and `unless` something that it needs is gone; `reason` completes "waits for". Raises the last refusal."""
    began_s, pause_s = time.monotonic(), FIRST_PAUSE_S
    while True:
        try:
            return call()
        except ClientError as error:
            waited_s = time.monotonic() - began_s
            if not passes(error) or waited_s > limit_s or (waited_s > GONE_S and _LACKS.get()()):
                raise
        pause(pause_s, reason)
        pause_s = min(2 * pause_s, LONGEST_PAUSE_S)


def once_seen[T](call: Callable[[], T], limit_s: float = SEEN_LIMIT_S) -> T:
    """What the call answers, once AWS finds what was made just before it. Raises its refusal after that time."""
    return patiently(call, is_missing, "what was just made to be found", limit_s)


def watch[T](describe: Callable[[], T], what: str) -> Callable[[], T]:
    """`describe`, to be called again and again about what was just made. It raises StepFailed for `what` that was there
    and is there no more."""
    was_seen = False

    def look() -> T:
        nonlocal was_seen
        try:
            found = once_seen(describe, GONE_S if was_seen else SEEN_LIMIT_S)
        except ClientError as error:
            if not was_seen or not is_missing(error):
                raise
            raise StepFailed(f"{what} was deleted meanwhile.", "Run this again, which makes it anew.") from error
        was_seen = True
        return found

    return look


def once_free[T](call: Callable[[], T], *codes: str, limit_s: float = BUSY_LIMIT_S) -> T:
    """What the call answers, once AWS is through with another change, of which it says so by one of the codes."""
    return patiently(call, lambda error: error_code(error) in codes, "another change to end", limit_s)


def once_role_is_known[T](
    call: Callable[[], T], iam: Any, role_arn: str, service: str, limit_s: float = ROLE_LIMIT_S
) -> T:
    """What the call answers, once the service, such as `lambda.amazonaws.com`, can assume the role.

    Raises StepFailed when it still cannot after `limit_s`, or something that it needs is gone, and at once when the
    role's own trust policy does not let it: then no waiting helps."""
    name = role_arn.rpartition("/")[2]

    def passes(error: ClientError) -> bool:
        if not is_role_refusal(error):
            return False
        if not _trusts(iam, name, service):
            raise StepFailed(
                f"The role {name} does not let {service} assume it: {message_of(error)}",
                "Deploy again: that puts its trust policy right. If it is refused again, read who changes the role.",
            ) from error
        return True

    try:
        return patiently(call, passes, f"the role {name}, which is new, to be known to {service}", limit_s)
    except ClientError as error:
        if not is_role_refusal(error):
            raise
        raise StepFailed(
            f"{service} refuses the role {name}: {message_of(error)}",
            "Deploy again. If it is refused again, look for a policy of the organization that forbids the role.",
        ) from error


def is_role_refusal(error: ClientError) -> bool:
    """Whether a service says that it cannot assume the role that it was given."""
    return any(says(error, code, words) for code, words in _ROLE_REFUSALS)


def _trusts(iam: Any, role: str, service: str) -> bool:
    """Whether a statement of its trust policy names the service. A role that cannot be read, or is not found yet, is
    taken for a new one that does."""
    try:
        found = find(iam.get_role, RoleName=role)
    except ClientError:
        return True
    document: Any = found["Role"]["AssumeRolePolicyDocument"] if found else None
    if document is None:
        return True
    statements = (json.loads(document) if isinstance(document, str) else document).get("Statement", [])
    return any(_allows(each, service) for each in ([statements] if isinstance(statements, Mapping) else statements))


def _allows(statement: Mapping[str, Any], service: str) -> bool:
    principal = statement.get("Principal", {})
    services = principal.get("Service", []) if isinstance(principal, Mapping) else [principal]
    actions = _listed(statement.get("Action", []))
    return (
        statement.get("Effect") == "Allow"
        and any(each in ("*", service) for each in _listed(services))
        and any(fnmatchcase("sts:assumerole", action.lower()) for action in actions)
    )


def _listed(value: str | list[str]) -> list[str]:
    return [value] if isinstance(value, str) else value

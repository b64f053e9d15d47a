"""Who wins where the caller's `Environment`, the service and the role name the same variable, and what to say of it.

As on AWS: the service's own variables win over the caller's, and the caller's over the role's, since AWS's SDKs look
for credentials in variables before they ask for the role's. Nothing is replaced without a sentence in the log. Pure.
"""

from collections.abc import Callable, Mapping
from dataclasses import replace

from stagemaker.core.credentials import Credentials
from stagemaker.runtime.contract import ContainerSpec

CREDENTIALS = ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN")
ENDPOINT = "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI"  # the path at 169.254.170.2 where AWS's SDKs ask for the role's
_KEY = CREDENTIALS[0]


def replaced(given: Mapping[str, str], own: Mapping[str, str]) -> tuple[str, ...]:
    """A sentence about the variables of the caller's (`given`) that have another value in `own`, which wins."""
    names = sorted(name for name in given.keys() & own.keys() if given[name] != own[name])
    return (f"not taken from Environment, since the service sets it: {', '.join(names)}",) if names else ()


def with_role(given: Mapping[str, str], role: Mapping[str, str]) -> tuple[dict[str, str], tuple[str, ...]]:
    """The caller's variables over the role's, and sentences about what is not taken.

    Credentials are taken whole, as an SDK reads them: the caller's if an access key is among them, else the role's."""
    stray = [] if _KEY in given else sorted(given.keys() & set(CREDENTIALS))
    mine = {name: value for name, value in given.items() if name not in stray}
    theirs = {name: value for name, value in role.items() if name not in CREDENTIALS or _KEY not in given}
    left = sorted(name for name, value in role.items() if name not in theirs or mine.get(name, value) != value)
    notes = (
        f"not taken from Environment, since {_KEY} is not there: {', '.join(stray)}" if stray else "",
        f"not taken from the role, since Environment sets it: {', '.join(left)}" if left else "",
    )
    return {**theirs, **mine}, tuple(filter(None, notes))


def run_as(spec: ContainerSpec, role: Mapping[str, str], renew: Callable[[], Credentials]) -> ContainerSpec:
    """The spec with the role's variables below its own, as `with_role` has it, and with its notes. `renew` gives fresh
    credentials of the role."""
    environment, notes = with_role(spec.environment, role)
    credentials = None if _KEY in spec.environment else renew
    return replace(spec, environment=environment, notes=(*spec.notes, *notes), credentials=credentials)


def without_role(given: Mapping[str, str], path: str | None) -> tuple[dict[str, str], tuple[str, ...]]:
    """The variables without the role's credentials, with the path where they are given out instead, if there is one;
    and what of the caller's is not taken."""
    return asking(given, {} if path is None else {ENDPOINT: path})


def asking(given: Mapping[str, str], own: Mapping[str, str]) -> tuple[dict[str, str], tuple[str, ...]]:
    """The variables without the role's credentials, with those that say where to ask for them (`own`); and what of the
    caller's is not taken."""
    kept = {name: value for name, value in given.items() if name not in CREDENTIALS}
    return {**kept, **own}, replaced(given, own)

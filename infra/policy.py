"""Asks the stage what a role, user or root was seen to do, and shows the smallest policy that allows it."""

import http.client
import json
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode, urlsplit

from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from infra.clients import LOCAL_CREDENTIALS, Clients, connect
from infra.errors import StepFailed
from infra.terminal import Terminal
from infra.typed import make

PATH = "/_stagemaker/policy"
ROOT = "root"
MAX_INLINE_CHARACTERS, MAX_MANAGED_CHARACTERS = 10_240, 6_144  # of a role's inline policies in all, without white space
_TIMEOUT_S = 30
_HOW = f"{make('policy')} ROLE=<role>"


def show(
    name: str | None, form: str, groups: Sequence[str], out: Path | None, account: str | None, terminal: Terminal
) -> None:
    """Print the policy in the form `json`, `template` or `table`, or write it to the file `out`, and say on stderr what
    there is to know about it. `name` is of a role, `user/<name>`, `root`, or an ARN; `account` that of the local
    credentials, if None. Raises StepFailed where nothing was recorded of it."""
    if not name:
        raise StepFailed("No role was named.", _HOW)
    clients = connect("local", "us-east-1")
    seen = ask(clients)["Principals"]
    arn = find_principal(seen, name, account or clients.account, lambda wanted: _exists(clients.iam, wanted))
    report = ask(clients, Principal=arn, Group=tuple(groups))
    if form == "table":
        _print_tables(report, terminal)
    elif out is None:
        print(text_of(report, form))
    if out is not None:
        out.parent.mkdir(parents=True, exist_ok=True)
        out.write_text(text_of(report, "json" if form == "table" else form) + "\n")
        print(f"Written: {out}", file=sys.stderr)
    for remark in remarks(report):
        print(remark, file=sys.stderr)


def ask(clients: Clients, **query: str | Sequence[str]) -> Any:
    """The stage's answer about a principal, or with no query all that it knows. StepFailed for an error."""
    url = f"{clients.endpoint}{PATH}?{urlencode(query, doseq=True, safe='', quote_via=quote)}"  # as it is signed
    request = AWSRequest("GET", url)
    credentials = Credentials(LOCAL_CREDENTIALS["aws_access_key_id"], LOCAL_CREDENTIALS["aws_secret_access_key"])
    SigV4Auth(credentials, "iam", clients.region).add_auth(request)
    address = urlsplit(url)
    connection = http.client.HTTPConnection(address.hostname or "", address.port, timeout=_TIMEOUT_S)
    try:
        connection.request("GET", f"{address.path}?{address.query}", headers=dict(request.headers.items()))
        answer = connection.getresponse()
        body = answer.read()
    except (OSError, http.client.HTTPException) as error:
        raise StepFailed(f"The stack does not answer: {error}", f"Is it running? {make('start')}") from None
    finally:
        connection.close()
    try:
        found = json.loads(body)
    except ValueError:
        found = None
    if answer.status != 200 or not isinstance(found, dict):
        told = found.get("message") if isinstance(found, dict) else None
        reason = told or f"The stack answers {answer.status}, and no policy."
        raise StepFailed(reason, f"Was it started from this checkout? {make('status')}")
    return found


def text_of(report: Any, form: str) -> str:
    """The policy as JSON for this account, or as a template with `${account}` and `${region}`."""
    return json.dumps(report["Template" if form == "template" else "Policy"], indent=2)


def remarks(report: Any) -> list[str]:
    """What a reader of the policy should know: that it lacks something, or is too long for IAM."""
    found = []
    size = len(json.dumps(report["Policy"], separators=(",", ":")))
    if size > MAX_INLINE_CHARACTERS:
        found.append(
            f"The policy has {size:,} characters, and IAM takes {MAX_INLINE_CHARACTERS:,} (a managed policy "
            f"{MAX_MANAGED_CHARACTERS:,}): group names that are alike, GROUP='train-*'."
        )
    if report["Refused"]:
        count = len(report["Refused"])
        calls = "1 kind of call" if count == 1 else f"{count} kinds of calls"
        found.append(f"Its policies do not allow {calls}: FORM=table shows them.")
    if report["Forgotten"]:
        found.append(
            f"{report['Forgotten']} kinds of calls were forgotten, since there were too many: it is not whole."
        )
    return found


def find_principal(seen: Sequence[str], name: str, account: str, exists: Callable[[str], bool]) -> str:
    """Of the ARNs that were recorded, the one that is meant. StepFailed where there is none; `exists` says whether
    there is a role or user of the name."""
    found = [arn for arn in seen if arn == name or is_named(arn, name, account)]
    if found:
        return found[0]
    known = [arn.rpartition(":")[2] if f":{account}:" in arn else arn for arn in seen]
    others = f"Recorded so far: {', '.join(known)}." if known else "Nothing was recorded so far."
    kind, _, short = name.rpartition("/")
    if not name.startswith("arn:") and name != ROOT and not exists(name):
        raise StepFailed(f"There is no {kind or 'role'} {short}.", f"{others} {_HOW}")
    raise StepFailed(f"{name} has not asked for anything yet.", f"Run what uses it, then this again. {others}")


def is_named(arn: str, name: str, account: str) -> bool:
    """Whether it is the ARN of the role, of the user with `user/` before the name, or of `root`; of this account."""
    *_, owner, resource = arn.split(":")
    if owner != account:
        return False
    if name == ROOT:
        return resource == ROOT
    kind, _, short = name.rpartition("/")
    return resource.startswith(f"{kind or 'role'}/") and resource.rpartition("/")[2] == short


def _exists(iam: Any, name: str) -> bool:
    kind, _, short = name.rpartition("/")
    try:
        if kind == "user":
            iam.get_user(UserName=short)
        else:
            iam.get_role(RoleName=short)
    except iam.exceptions.NoSuchEntityException:
        return False
    return True


def _print_tables(report: Any, terminal: Terminal) -> None:
    known = {one["Sid"]: one for one in report["Statements"]}
    rows: list[tuple[str, ...]] = [
        (
            _lines(statement["Action"]), _lines(statement["Resource"]), _conditions(statement),
            _lines(known[statement["Sid"]]["Because"]), str(known[statement["Sid"]]["Count"]),
            known[statement["Sid"]]["LastTime"],
        )
        for statement in report["Policy"]["Statement"]
    ]  # fmt: skip
    terminal.table(report["Principal"], ("Actions", "Resources", "Condition", "Because", "Count", "Last"), rows)
    refused: list[tuple[str, ...]] = [
        (one["Reason"], one["Because"], str(one["Count"]), json.dumps(one["Statement"])) for one in report["Refused"]
    ]
    if refused:
        terminal.table("Not allowed by its policies", ("Reason", "Because", "Count", "It lacks"), refused)


def _conditions(statement: Any) -> str:
    return _lines([
        f"{key}: {value}"
        for keys in statement.get("Condition", {}).values()
        for key, values in keys.items()
        for value in ([values] if isinstance(values, str) else values)
    ])  # fmt: skip


def _lines(values: str | Sequence[str]) -> str:
    return values if isinstance(values, str) else "\n".join(values)

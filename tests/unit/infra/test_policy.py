"""`make policy`: whose policy is meant, what is said about it, and what is printed."""

import dataclasses
import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from io import StringIO
from typing import Any

import pytest
from rich.console import Console

from infra import policy
from infra.clients import Clients
from infra.errors import StepFailed
from infra.terminal import Terminal
from tests.unit.infra.fakes import ACCOUNT, FakeClient, fake_clients

ROLE = f"arn:aws:iam::{ACCOUNT}:role/ml/Trainer"
ROOT, USER = f"arn:aws:iam::{ACCOUNT}:root", f"arn:aws:iam::{ACCOUNT}:user/alice"
SEEN = [ROOT, ROLE, USER, "arn:aws:iam::999999999999:role/Trainer"]
STATEMENT = {
    "Sid": "S3ListBucket", "Effect": "Allow", "Action": ["s3:ListBucket"], "Resource": "arn:aws:s3:::data",
    "Condition": {"StringEquals": {"s3:prefix": ["train/", "valid/"]}},
}  # fmt: skip
REPORT = {
    "Principal": ROLE,
    "Policy": {"Version": "2012-10-17", "Statement": [STATEMENT]},
    "Template": {"Version": "2012-10-17", "Statement": [{**STATEMENT, "Resource": "${account}"}]},
    "Statements": [
        {"Sid": "S3ListBucket", "Because": ["s3:ListObjectsV2"], "Count": 7, "LastTime": "2026-11-27T00:00:00Z"}
    ],
    "Refused": [],
    "Forgotten": 0,
}


@pytest.fixture
def answers() -> dict[str, Any]:
    """What the stage answers, by the query; with the status 404 for any other."""
    return {"": {"Principals": SEEN}}


@pytest.fixture
def clients(answers: dict[str, Any]) -> Iterator[Clients]:
    """Of a stage that answers so."""

    class Handler(BaseHTTPRequestHandler):
        def log_message(self, *_: Any) -> None:
            """Nothing."""

        def do_GET(self) -> None:
            path, _, query = self.path.partition("?")
            known = path == policy.PATH and query in answers and "Credential=test/" in self.headers["Authorization"]
            found = answers[query] if known else {"message": "Nothing was recorded."}
            body = found if isinstance(found, bytes) else json.dumps(found).encode()
            self.send_response(200 if known else 404)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield dataclasses.replace(fake_clients(), endpoint=f"http://127.0.0.1:{server.server_port}")
    server.shutdown()
    server.server_close()


@pytest.mark.parametrize(
    ("name", "arn"),
    [("Trainer", ROLE), ("role/Trainer", ROLE), (ROLE, ROLE), ("user/alice", USER), ("root", ROOT), (SEEN[3], SEEN[3])],
)
def test_a_principal_is_found_by_its_name(name: str, arn: str) -> None:
    assert policy.find_principal(SEEN, name, ACCOUNT, lambda _: False) == arn


def test_a_role_of_another_account_is_found_with_the_account() -> None:
    assert policy.find_principal(SEEN, "Trainer", "999999999999", lambda _: False) == SEEN[3]


@pytest.mark.parametrize("name", ["alice", "ml", "ml/Trainer", "Train", "user/Trainer", ""])
def test_another_name_is_not_found(name: str) -> None:
    with pytest.raises(StepFailed, match="There is no"):
        policy.find_principal(SEEN, name, ACCOUNT, lambda _: False)


def test_no_such_role_says_whose_calls_were_recorded() -> None:
    with pytest.raises(StepFailed) as refused:
        policy.find_principal(SEEN[:2], "Trainr", ACCOUNT, lambda _: False)
    assert refused.value.reason == "There is no role Trainr."
    assert refused.value.next_step == "Recorded so far: root, role/ml/Trainer. make policy ROLE=<role>"


@pytest.mark.parametrize("name", ["Idle", "root", ROLE])
def test_a_role_that_did_nothing_says_what_to_do(name: str) -> None:
    with pytest.raises(StepFailed) as refused:
        policy.find_principal([], name, ACCOUNT, lambda _: True)
    assert refused.value.reason == f"{name} has not asked for anything yet."
    assert refused.value.next_step == "Run what uses it, then this again. Nothing was recorded so far."


def test_the_stage_is_asked_as_root(clients: Clients, answers: dict[str, Any]) -> None:
    assert policy.ask(clients) == {"Principals": SEEN}
    answers["Principal=arn%3Aaws%3Aiam%3A%3A1%3Aroot&Group=a-%2A&Group=b"] = REPORT
    assert policy.ask(clients, Principal="arn:aws:iam::1:root", Group=("a-*", "b")) == REPORT


def test_an_error_of_the_stage_is_told(clients: Clients, answers: dict[str, Any]) -> None:
    with pytest.raises(StepFailed, match="Nothing was recorded"):
        policy.ask(clients, Principal=ROLE)
    answers[""] = b"<html>"
    with pytest.raises(StepFailed, match="The stack answers 200, and no policy"):
        policy.ask(clients)


def test_a_stage_that_does_not_run_is_told() -> None:
    with pytest.raises(StepFailed, match="does not answer") as refused:
        policy.ask(fake_clients(iam=FakeClient()))
    assert "make start" in refused.value.next_step


def test_the_policy_is_printed_or_written(
    monkeypatch: pytest.MonkeyPatch, clients: Clients, answers: dict[str, Any], capsys: pytest.CaptureFixture[str],
    tmp_path: Any,
) -> None:  # fmt: skip
    monkeypatch.setattr(policy, "connect", lambda *_: clients)
    answers[f"Principal={ROLE.replace(':', '%3A').replace('/', '%2F')}"] = REPORT
    terminal = Terminal(Console(file=StringIO(), width=200))
    policy.show("Trainer", "json", [], None, None, terminal)
    assert json.loads(capsys.readouterr().out) == REPORT["Policy"]
    policy.show("Trainer", "template", [], tmp_path / "new" / "policy.json", None, terminal)
    assert json.loads((tmp_path / "new" / "policy.json").read_text()) == REPORT["Template"]
    assert capsys.readouterr().out == ""
    with pytest.raises(StepFailed, match="No role was named"):
        policy.show(None, "json", [], None, None, terminal)


def test_the_table_has_the_calls_and_what_is_not_allowed(
    monkeypatch: pytest.MonkeyPatch, clients: Clients, answers: dict[str, Any], capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(policy, "connect", lambda *_: clients)
    refused = {"Reason": "User: x is not authorized", "Because": "s3:PutObject", "Count": 2, "Statement": STATEMENT}
    answers[f"Principal={ROLE.replace(':', '%3A').replace('/', '%2F')}"] = {**REPORT, "Refused": [refused]}
    console = Console(file=StringIO(), width=400)
    policy.show("Trainer", "table", [], None, None, Terminal(console))
    said = console.file.getvalue()  # type: ignore[attr-defined]
    for text in ("s3:prefix: valid/", "s3:ListObjectsV2", "7", "2026-11-27T00:00:00Z", "User: x is not authorized"):
        assert text in said
    assert capsys.readouterr().err == "Its policies do not allow 1 kind of call: FORM=table shows them.\n"


def test_a_policy_that_is_too_long_or_not_whole_is_told() -> None:
    assert policy.remarks(REPORT) == []
    long = {"Policy": {"Statement": ["x" * 11_000]}, "Refused": [{}, {}], "Forgotten": 3}
    said = policy.remarks(long)
    assert "The policy has 11,018 characters, and IAM takes 10,240" in said[0]
    assert said[1].startswith("Its policies do not allow 2 kinds of calls")
    assert said[2].startswith("3 kinds of calls were forgotten")

from collections.abc import Callable
from typing import Any

import pytest
from botocore.exceptions import ClientError

from infra import patience
from infra.errors import StepFailed
from infra.patience import LAMBDA, SAGEMAKER, once_free, once_role_is_known, once_seen, unless, watch
from tests.unit.infra.fakes import FakeClient, missing

REFUSED = ClientError(
    {"Error": {"Code": "ValidationException", "Message": 'The execution role ARN "arn" is invalid.'}}, "CreateModel"
)
BUSY = ClientError({"Error": {"Code": "ResourceConflictException", "Message": "Pending"}}, "UpdateFunctionCode")


@pytest.fixture(autouse=True)
def _no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(patience, "FIRST_PAUSE_S", 0.0)


def trusting(*services: str) -> FakeClient:
    """IAM with a role that these services may assume."""
    statement = {"Effect": "Allow", "Principal": {"Service": list(services)}, "Action": "sts:AssumeRole"}
    return FakeClient({"get_role": {"Role": {"AssumeRolePolicyDocument": {"Statement": [statement]}}}})


def answering(*answers: Any) -> tuple[FakeClient, Callable[[], Any]]:
    """A client, and a call of it that is answered so."""
    client = FakeClient({"call": list(answers)})
    return client, client.call


def test_a_role_that_is_not_known_yet_is_waited_for() -> None:
    client, call = answering(REFUSED, REFUSED, {"made": True})
    assert once_role_is_known(call, trusting(LAMBDA, SAGEMAKER), "arn:aws:iam::1:role/r", SAGEMAKER) == {"made": True}
    assert len(client.calls) == 3


def test_a_role_whose_trust_is_wrong_is_an_error_at_once() -> None:
    client, call = answering(REFUSED)
    with pytest.raises(StepFailed, match="The role r does not let sagemaker"):
        once_role_is_known(call, trusting(LAMBDA), "arn:aws:iam::1:role/r", SAGEMAKER)
    assert len(client.calls) == 1


def test_a_role_that_stays_refused_is_an_error_at_the_end() -> None:
    _, call = answering(REFUSED)
    with pytest.raises(StepFailed, match="refuses the role r"):
        once_role_is_known(call, trusting(SAGEMAKER), "arn:aws:iam::1:role/r", SAGEMAKER, limit_s=0.0)


def test_another_refusal_is_not_waited_for() -> None:
    client, call = answering(BUSY)
    with pytest.raises(ClientError):
        once_role_is_known(call, trusting(SAGEMAKER), "arn:aws:iam::1:role/r", SAGEMAKER)
    assert len(client.calls) == 1


def test_what_is_in_change_and_what_is_not_seen_yet_are_tried_again() -> None:
    assert once_free(answering(BUSY, {"free": True})[1], "ResourceConflictException") == {"free": True}
    assert once_seen(answering(missing("NoSuchEntity"), {"seen": True})[1]) == {"seen": True}


def test_nothing_is_waited_for_when_what_it_needs_is_gone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(patience, "GONE_S", 0.0)
    looks = [False, False, True]
    client, call = answering(REFUSED)
    with pytest.raises(StepFailed, match="refuses the role r"), unless(lambda: looks.pop(0)):
        once_role_is_known(call, trusting(SAGEMAKER), "arn:aws:iam::1:role/r", SAGEMAKER)
    assert (len(client.calls), looks) == (3, [])


def test_for_a_moment_what_is_needed_need_not_be_found() -> None:
    client, call = answering(REFUSED, {"made": True})
    with unless(lambda: True):
        assert once_role_is_known(call, trusting(SAGEMAKER), "arn:aws:iam::1:role/r", SAGEMAKER) == {"made": True}
    assert len(client.calls) == 2


def test_what_was_there_and_is_there_no_more_was_deleted(monkeypatch: pytest.MonkeyPatch) -> None:
    look = watch(answering(missing(), {"status": "Creating"}, missing())[1], "The job one")
    assert look() == {"status": "Creating"}, "what was just made is waited for"
    monkeypatch.setattr(patience, "GONE_S", 0.0)
    with pytest.raises(StepFailed, match="The job one was deleted meanwhile"):
        look()


def test_a_watch_raises_what_says_nothing_of_an_end(monkeypatch: pytest.MonkeyPatch) -> None:
    look = watch(answering({"status": "Creating"}, BUSY)[1], "The job one")
    look()
    with pytest.raises(ClientError, match="ResourceConflictException"):
        look()
    monkeypatch.setattr(patience, "SEEN_LIMIT_S", 0.0)
    with pytest.raises(ClientError, match="there is none"):
        watch(answering(missing())[1], "The job one")()

"""What is known of access keys and of the sessions that STS made."""

import pytest

from stagemaker.access.callers import anonymous, root_of
from stagemaker.access.faults import CredentialsRefused, Fault
from stagemaker.access.keys import Key, check_key
from stagemaker.access.sessions import KEPT_S, PURGE_S, Session, Sessions

ROOT = root_of("123456789012", "key")
LASTING = Key("secret", ROOT)
TEMPORARY = Key("secret", ROOT, "token", 100.0)


def session(access_key_id: str, expires_s: float) -> Session:
    return Session(access_key_id, "secret", "token", expires_s, ROOT, "")


@pytest.mark.parametrize(("key", "token"), [(LASTING, None), (TEMPORARY, "token")])
def test_a_key_works_with_its_own_token(key: Key, token: str | None) -> None:
    assert check_key(key, token, 99.9) is key


@pytest.mark.parametrize(
    ("key", "token", "fault"),
    [
        (None, None, Fault.UNKNOWN_KEY),
        (LASTING, "token", Fault.WRONG_TOKEN),
        (TEMPORARY, None, Fault.UNKNOWN_KEY),
        (TEMPORARY, "", Fault.UNKNOWN_KEY),
        (TEMPORARY, "tokem", Fault.WRONG_TOKEN),
        (TEMPORARY, "tok\xe9n", Fault.WRONG_TOKEN),
    ],
)
def test_a_key_does_not_work_with_another_token(key: Key | None, token: str | None, fault: Fault) -> None:
    with pytest.raises(CredentialsRefused) as refused:
        check_key(key, token, 0.0)
    assert refused.value.fault is fault


def test_temporary_credentials_end_at_their_time() -> None:
    with pytest.raises(CredentialsRefused) as refused:
        check_key(TEMPORARY, "token", 100.0)
    assert refused.value.fault is Fault.EXPIRED_TOKEN


def test_no_secret_is_shown() -> None:
    assert "secret" not in repr((TEMPORARY, session("a", 1.0)))
    assert "token=" not in repr((TEMPORARY, session("a", 1.0)))


def test_a_session_is_found_and_is_forgotten_an_hour_after_its_end() -> None:
    sessions = Sessions()
    for key, expires_s in (("a", 1000.0), ("b", 9000.0)):
        sessions.add(session(key, expires_s), 0.0)
    found = sessions.find("a")
    assert found is not None
    assert found.expires_s == 1000.0
    sessions.add(session("c", 9000.0), 1000.0 + KEPT_S + PURGE_S)
    assert [sessions.find(key) is not None for key in "abcd"] == [False, True, True, False]


def test_a_session_that_localstack_uses_is_not_forgotten() -> None:
    sessions = Sessions()
    sessions.add(session("a", 1000.0), 0.0)
    assert sessions.use("a", 8000.0) is not None
    assert sessions.use("b", 8000.0) is None
    sessions.add(session("c", 99_000.0), 8000.0 + KEPT_S - 1)
    assert sessions.find("a") is not None
    sessions.add(session("d", 99_000.0), 8000.0 + KEPT_S + PURGE_S)
    assert sessions.find("a") is None


def test_nobody_is_not_the_root_user() -> None:
    assert anonymous().is_anonymous
    assert not ROOT.is_anonymous
    assert ROOT.principal.is_root

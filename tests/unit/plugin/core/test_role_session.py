"""When the credentials of a role are renewed."""

import pytest

from stagemaker.core.credentials import Credentials
from stagemaker.core.errors import ApiError
from stagemaker.core.role_session import RENEW_S, RoleSession
from tests.unit.plugin.fakes import ROLE, FakeClock

HOUR_S = 3600.0


class Issuer:
    """Gives credentials for an hour, until the role is gone."""

    def __init__(self, clock: FakeClock) -> None:
        self.clock, self.issued, self.gone = clock, 0, False

    def __call__(self) -> Credentials:
        if self.gone:
            raise ApiError("ValidationException", "Could not assume role.")
        self.issued += 1
        return Credentials(ROLE, f"KEY{self.issued}", "secret", "token", self.clock() + HOUR_S)


def test_credentials_are_kept_until_they_are_near_their_end() -> None:
    clock = FakeClock()
    issue = Issuer(clock)
    session = RoleSession(issue, clock)
    assert issue.issued == 0  # nobody has asked
    assert [session.credentials().access_key_id for _ in range(2)] == ["KEY1", "KEY1"]
    clock.now += HOUR_S - RENEW_S
    assert session.credentials().access_key_id == "KEY1"
    clock.now += 1
    assert session.credentials().access_key_id == "KEY2"


def test_a_job_of_twelve_hours_always_has_credentials_that_last() -> None:
    clock = FakeClock()
    session = RoleSession(Issuer(clock), clock)
    for _ in range(12 * 60):
        assert session.credentials().expiration_s - clock() >= RENEW_S
        clock.now += 60


def test_a_role_that_is_gone_gives_none_when_they_are_renewed() -> None:
    clock = FakeClock()
    issue = Issuer(clock)
    session = RoleSession(issue, clock)
    session.credentials()
    issue.gone = True
    assert session.credentials().access_key_id == "KEY1"
    clock.now += HOUR_S
    with pytest.raises(ApiError, match="Could not assume role"):
        session.credentials()


def test_credentials_that_somebody_has_just_got_are_given_from_then_on() -> None:
    clock = FakeClock()
    issue = Issuer(clock)
    session = RoleSession(issue, clock)
    session.take(Credentials(ROLE, "NEW", "secret", "token", clock() + HOUR_S))
    assert session.credentials().access_key_id == "NEW"
    assert issue.issued == 0

"""The states of an instance, and what is refused in them."""

import pytest

from stagemaker.core.errors import ApiError
from stagemaker.ec2.states import after_shutdown, by_user, check_start, check_stop


@pytest.mark.parametrize(
    ("behavior", "is_spot", "state"),
    [("stop", False, "stopped"), ("terminate", False, "terminated"), ("stop", True, "terminated")],
)
def test_a_shutdown_from_within_stops_or_terminates(behavior: str, is_spot: bool, state: str) -> None:
    assert after_shutdown(behavior, is_spot=is_spot) == state


def test_the_reason_of_a_user_has_the_moment() -> None:
    reason = by_user(0)
    assert reason.transition == "User initiated (1970-01-01 00:00:00 GMT)"
    assert reason.message == "Client.UserInitiatedShutdown: User initiated shutdown"


@pytest.mark.parametrize("state", ["stopping", "shutting-down", "terminated"])
def test_only_what_is_stopped_starts(state: str) -> None:
    with pytest.raises(ApiError, match="IncorrectInstanceState: The instance 'i-1' is not in a state"):
        check_start("i-1", state)
    check_start("i-1", "stopped")


def test_what_has_ended_and_what_is_spot_does_not_stop() -> None:
    with pytest.raises(ApiError, match="IncorrectInstanceState: This instance 'i-1'"):
        check_stop("i-1", "terminated", is_spot=False)
    with pytest.raises(ApiError, match="UnsupportedOperation: You can't stop the Spot Instance 'i-1'"):
        check_stop("i-1", "running", is_spot=True)
    check_stop("i-1", "running", is_spot=False)

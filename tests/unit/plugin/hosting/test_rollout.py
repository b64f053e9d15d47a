"""Shares of the requests while a new fleet takes over, compared as values."""

from stagemaker.hosting.rollout import ALL_AT_ONCE, Step, shares


def test_all_at_once_is_one_step_from_none_to_all() -> None:
    assert [shares("old", "new", step) for step in ALL_AT_ONCE] == [{"old": 0.0, "new": 1.0}]


def test_a_step_leaves_the_rest_to_the_old_fleet() -> None:
    assert shares("old", "new", Step(0.25, wait_s=60)) == {"old": 0.75, "new": 0.25}


def test_a_first_fleet_gets_all_in_every_step() -> None:
    assert shares(None, "new", Step(0.25)) == {"new": 1.0}

"""Schedules of rollouts, and what a DeploymentConfig must not say, compared as values."""

from typing import Any

import pytest

from stagemaker.core.errors import ApiError
from stagemaker.hosting.rollout import ALL_AT_ONCE, Step, plan_rollout
from tests.unit.plugin.hosting.deployments import blue_green, count, percent, rolling

FOUR = {"a": 4}


def shares(config: dict[str, Any], new: dict[str, int], old: dict[str, int] | None = None) -> list[float]:
    return [round(step.share, 6) for step in plan_rollout(config, old or new, new).steps]


def test_without_a_policy_all_requests_move_at_once() -> None:
    assert plan_rollout({}, FOUR, FOUR).steps == ALL_AT_ONCE.steps == (Step(1.0),)


def test_all_at_once_bakes_for_the_termination_wait() -> None:
    config = blue_green("ALL_AT_ONCE", wait_s=7, termination_s=30)
    assert plan_rollout(config, FOUR, FOUR).steps == (Step(1.0, "full", 30, "TerminationWaitInSeconds", active=FOUR),)


def test_a_canary_has_two_steps() -> None:
    config = blue_green("CANARY", percent(10), wait_s=60, termination_s=30)
    assert plan_rollout(config, FOUR, FOUR).steps == (
        Step(0.1, "canary", 60, "WaitIntervalInSeconds", active={"a": 1}),
        Step(1.0, "full", 30, "TerminationWaitInSeconds", active=FOUR),
    )


@pytest.mark.parametrize(
    ("size", "instances", "expected"),
    [
        (percent(25), FOUR, [0.25, 0.5, 0.75, 1.0]),
        (percent(30), FOUR, [0.3, 0.6, 0.9, 1.0]),
        (percent(10), {"a": 1}, [0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0]),
        (percent(50), FOUR, [0.5, 1.0]),
        (count(1), FOUR, [0.25, 0.5, 0.75, 1.0]),
        (count(2), FOUR, [0.5, 1.0]),
        (count(1), {"a": 3}, [0.333333, 0.666667, 1.0]),
        (count(1), {"a": 2, "b": 4}, [0.333333, 0.666667, 1.0]),
    ],
)
def test_linear_steps(size: dict[str, Any], instances: dict[str, int], expected: list[float]) -> None:
    assert shares(blue_green("LINEAR", size), instances) == expected


def test_a_linear_rollout_waits_between_the_steps_and_bakes_at_the_end() -> None:
    config = blue_green("LINEAR", percent(50), wait_s=60, termination_s=30)
    assert [(step.bake_s, step.bake_member) for step in plan_rollout(config, FOUR, FOUR).steps] == [
        (60, "WaitIntervalInSeconds"),
        (30, "TerminationWaitInSeconds"),
    ]


def test_a_rolling_rollout_grows_the_new_fleet_and_shrinks_the_old_one() -> None:
    steps = plan_rollout(rolling(percent(50), wait_s=9), {"a": 4}, {"a": 4}).steps
    assert {(step.bake_s, step.bake_member) for step in steps} == {(9, "WaitIntervalInSeconds")}
    assert [(step.share, step.new, step.active, step.old) for step in steps] == [
        (0.5, {"a": 2}, {"a": 2}, {"a": 2}),
        (1.0, {"a": 4}, {"a": 4}, {"a": 0}),
    ]


def test_batches_of_a_rolling_rollout_are_at_least_one_instance() -> None:
    steps = plan_rollout(rolling(percent(5)), {"a": 3}, {"a": 3}).steps
    assert [(step.new, step.old) for step in steps] == [
        ({"a": 1}, {"a": 2}),
        ({"a": 2}, {"a": 1}),
        ({"a": 3}, {"a": 0}),
    ]
    assert [step.new for step in plan_rollout(rolling(percent(50)), {"a": 1}, {"a": 1}).steps] == [{"a": 1}]


def test_an_old_fleet_of_another_size_keeps_one_instance_to_the_last_step() -> None:
    steps = plan_rollout(rolling(count(1)), {"a": 1}, {"a": 4}).steps
    assert [step.old for step in steps] == [{"a": 1}, {"a": 1}, {"a": 1}, {"a": 0}]
    steps = plan_rollout(rolling(percent(50)), {"old": 3}, {"a": 2}).steps
    assert [(step.new, step.old) for step in steps] == [({"a": 1}, {"old": 2}), ({"a": 2}, {"old": 0})]


def test_a_fleet_without_instances_takes_over_at_once() -> None:
    for config in (blue_green("CANARY", count(1)), rolling(count(1), wait_s=9)):
        assert plan_rollout(config, FOUR, {"a": 0}).steps == (Step(1.0),)
        assert [step.new for step in plan_rollout(rolling(count(1)), {"a": 0}, {"a": 2}).steps] == [{"a": 1}, {"a": 2}]
    assert plan_rollout(rolling(count(1)), {"a": 0}, {"a": 2}).steps_back({"a": 0}, 0.5) == (Step(0.0),)
    assert shares(blue_green("CANARY", count(1)), {"a": 2, "b": 0}) == [0.5, 1.0]


def test_a_blue_green_rollback_is_one_step() -> None:
    for config in ({}, blue_green("CANARY", percent(10))):
        assert plan_rollout(config, FOUR, FOUR).steps_back(FOUR, 0.1) == (Step(0.0),)


def test_a_rolling_rollback_brings_the_whole_old_fleet_back_at_once_unless_told_otherwise() -> None:
    assert plan_rollout(rolling(count(1)), FOUR, FOUR).steps_back({"a": 1}, 0.75) == (Step(0.0),)


def test_a_rolling_rollback_in_batches() -> None:
    rollout = plan_rollout(rolling(count(1), back=count(1)), FOUR, FOUR)
    assert rollout.steps_back({"a": 1}, 0.75) == (
        Step(0.5, new={"a": 2}, old={"a": 2}),
        Step(0.25, new={"a": 1}, old={"a": 3}),
        Step(0.0),
    )
    assert rollout.steps_back(FOUR, 0.25) == (Step(0.0),)  # none of the old fleet has left


def test_alarms_and_the_time_limit_are_part_of_the_rollout() -> None:
    alarms = {"AutoRollbackConfiguration": {"Alarms": [{"AlarmName": "one"}, {"AlarmName": "two"}]}}
    rollout = plan_rollout({**blue_green("ALL_AT_ONCE", limit_s=600), **alarms}, FOUR, FOUR)
    assert (rollout.alarms, rollout.limit_s) == (("one", "two"), 600)
    assert plan_rollout({}, FOUR, FOUR).limit_s is None


@pytest.mark.parametrize(
    ("config", "sentence"),
    [
        ({**blue_green("ALL_AT_ONCE"), **rolling(percent(50))}, "give one of them"),
        ({"AutoRollbackConfiguration": {"Alarms": [{}]}}, "has no AlarmName"),
        (blue_green("CANARY"), "of the type CANARY needs CanarySize"),
        (blue_green("LINEAR"), "of the type LINEAR needs LinearStepSize"),
        (blue_green("ALL_AT_ONCE", CanarySize=percent(10)), "ALL_AT_ONCE does not take CanarySize"),
        (blue_green("CANARY", percent(51)), "CanarySize must be at most 50 % .* not 51 %"),
        (blue_green("CANARY", count(3)), "CanarySize must be at most 50 % .* not 3 of the 4 of a"),
        (blue_green("LINEAR", percent(9)), "LinearStepSize must be 10 to 50 %"),
        (blue_green("LINEAR", count(3)), "LinearStepSize must be 10 to 50 %"),
        (rolling(percent(4)), "MaximumBatchSize must be 5 to 50 %"),
        (rolling(count(3)), "MaximumBatchSize must be 5 to 50 %"),
        (rolling(percent(50), back=percent(101)), "RollbackMaximumBatchSize must be at most 100 %"),
        (rolling(percent(50), back=count(5)), "RollbackMaximumBatchSize must be at most 100 %"),
        (blue_green("CANARY", percent(10), wait_s=300, termination_s=300, limit_s=600), "together, which are 600 s"),
        (blue_green("LINEAR", percent(10), wait_s=70, limit_s=600), "together, which are 630 s"),
        (rolling(percent(25), wait_s=150, limit_s=600), "together, which are 600 s"),
    ],
)
def test_what_aws_excludes(config: dict[str, Any], sentence: str) -> None:
    with pytest.raises(ApiError, match=sentence) as error:
        plan_rollout(config, FOUR, FOUR)
    assert (error.value.code, error.value.status) == ("ValidationException", 400)

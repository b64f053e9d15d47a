"""Scheduled actions: what they may be, and what they do when they run."""

from datetime import UTC, datetime
from typing import Any

import pytest

from stagemaker.scaling import loop
from stagemaker.scaling.actions import MAX_ACTIONS
from stagemaker.scaling.schedules import next_time
from tests.unit.plugin.fakes import SCOPE
from tests.unit.plugin.scaling.scaling_environment import RESOURCE, ScalingEnvironment, refusal

NIGHT: dict[str, Any] = {"ScalableTargetAction": {"MinCapacity": 2, "MaxCapacity": 3}}
DAY_S = 86_400


@pytest.fixture
def scaling() -> ScalingEnvironment:
    made = ScalingEnvironment()
    made.register(1, 4)
    return made


def put(scaling: ScalingEnvironment, name: str = "night", **members: Any) -> None:
    scaling.actions.put_scheduled_action(SCOPE, {**RESOURCE, "ScheduledActionName": name, **members})


def described(scaling: ScalingEnvironment, **members: Any) -> list[dict[str, Any]]:
    request = {"ServiceNamespace": "sagemaker", **members}
    found: list[dict[str, Any]] = scaling.actions.describe_scheduled_actions(SCOPE, request)["ScheduledActions"]
    return found


def bounds(scaling: ScalingEnvironment) -> tuple[int, int]:
    [target] = scaling.targets.describe_scalable_targets(SCOPE, {"ServiceNamespace": "sagemaker"})["ScalableTargets"]
    return target["MinCapacity"], target["MaxCapacity"]


def at(moment_s: float) -> str:
    return f"at({datetime.fromtimestamp(moment_s, UTC):%Y-%m-%dT%H:%M:%S})"


def test_an_action_is_described_as_aws_has_it(scaling: ScalingEnvironment) -> None:
    put(scaling, Schedule="cron(0 22 * * ? *)", Timezone="Europe/Zurich", **NIGHT)
    [action] = described(scaling)
    arn = action.pop("ScheduledActionARN")
    assert arn.startswith("arn:aws:autoscaling:eu-west-1:123456789012:scheduledAction:")
    assert arn.endswith(":resource/sagemaker/endpoint/end/variant/all:scheduledActionName/night")
    assert action == {
        **RESOURCE,
        "ScheduledActionName": "night",
        "Schedule": "cron(0 22 * * ? *)",
        "Timezone": "Europe/Zurich",
        "CreationTime": scaling.clock.now,
        **NIGHT,
    }


def test_an_update_keeps_all_but_start_and_end(scaling: ScalingEnvironment) -> None:
    now_s = scaling.clock.now
    put(scaling, Schedule="rate(1 day)", StartTime=now_s + 10, EndTime=now_s + 20, **NIGHT)
    put(scaling, ScalableTargetAction={"MinCapacity": 1})
    [action] = described(scaling)
    assert action["Schedule"] == "rate(1 day)"
    assert action["ScalableTargetAction"] == {"MinCapacity": 1}
    assert {"StartTime", "EndTime"}.isdisjoint(action)


@pytest.mark.parametrize(
    ("members", "sentence"),
    [
        (NIGHT, "Schedule is required for a new scheduled action."),
        ({"Schedule": "rate(1 day)"}, "ScalableTargetAction must be set"),
        (
            {"Schedule": "rate(1 day)", "ScalableTargetAction": {}},
            "At least one of minimum capacity and maximum capacity should be provided",
        ),
        ({"Schedule": "every day", **NIGHT}, "Invalid schedule expression."),
        ({"Schedule": "cron(0 22 * * ? *)", "Timezone": "Moon/Sea", **NIGHT}, "Invalid timezone: Moon/Sea"),
        ({"Schedule": "rate(1 day)", "Timezone": "UTC", **NIGHT}, "A time zone cannot be specified for a rate"),
        ({"Schedule": "rate(1 day)", "EndTime": 5.0, **NIGHT}, "EndTime must be later than now."),
        (
            {"Schedule": "rate(1 day)", "StartTime": 2e9, "EndTime": 2e9, **NIGHT},
            "StartTime must be before EndTime",
        ),
        (
            {"Schedule": "rate(1 day)", "ScalableTargetAction": {"MinCapacity": 3, "MaxCapacity": 2}},
            "Maximum capacity cannot be less than minimum capacity",
        ),
    ],
)
def test_a_wrong_action_is_refused(scaling: ScalingEnvironment, members: dict[str, Any], sentence: str) -> None:
    code, message = refusal(lambda: put(scaling, **members))
    assert code == "ValidationException"
    assert message.startswith(sentence)


def test_two_hundred_actions_are_the_limit(scaling: ScalingEnvironment) -> None:
    for number in range(MAX_ACTIONS):
        put(scaling, f"action{number}", Schedule="rate(1 day)", **NIGHT)
    assert refusal(lambda: put(scaling, Schedule="rate(1 day)", **NIGHT))[0] == "LimitExceededException"
    put(scaling, "action1", **NIGHT)
    assert len(described(scaling, ScheduledActionNames=["action1", "action2"])) == 2


def test_an_action_needs_a_target_and_is_deleted_by_name(scaling: ScalingEnvironment) -> None:
    put(scaling, Schedule="rate(1 day)", **NIGHT)
    delete = {**RESOURCE, "ScheduledActionName": "night"}
    scaling.actions.delete_scheduled_action(SCOPE, delete)
    assert described(scaling) == []
    assert refusal(lambda: scaling.actions.delete_scheduled_action(SCOPE, delete))[0] == "ObjectNotFoundException"
    scaling.targets.deregister_scalable_target(SCOPE, RESOURCE)
    assert refusal(lambda: put(scaling, Schedule="rate(1 day)", **NIGHT))[0] == "ObjectNotFoundException"


def test_an_action_changes_the_range_and_the_capacity_follows(scaling: ScalingEnvironment) -> None:
    put(scaling, Schedule=at(scaling.clock.now + 90), **NIGHT)
    scaling.look(80)
    assert (bounds(scaling), scaling.scalable.asked) == ((1, 4), [])
    scaling.look(11)
    assert (bounds(scaling), scaling.scalable.asked) == ((2, 3), [2])
    scaling.look(1)
    activities = [(one["Description"], one["Cause"]) for one in scaling.activities()]
    assert sorted(activities) == [
        ("Setting desired instance count to 2.", "minimum capacity was set to 2"),
        ("Setting min capacity to 2 and max capacity to 3", "scheduled action name night was triggered"),
    ]
    [scheduled] = [one for one in scaling.activities() if one["StatusCode"] == "Successful"]
    assert scheduled["StatusMessage"] == "Successfully set min capacity to 2 and max capacity to 3"


def test_an_action_runs_once_each_time(scaling: ScalingEnvironment) -> None:
    put(scaling, Schedule="rate(1 hour)", ScalableTargetAction={"MaxCapacity": 9})
    for _ in range(3):
        scaling.look(1800)
    assert len(scaling.activities()) == 1
    scaling.look(1800)
    assert len(scaling.activities()) == 2


def test_the_next_run_of_an_action_is_searched_for_once(
    scaling: ScalingEnvironment, monkeypatch: pytest.MonkeyPatch
) -> None:
    searched = []

    def counting(*arguments: Any, **times: Any) -> float | None:
        searched.append(arguments)
        return next_time(*arguments, **times)

    monkeypatch.setattr(loop, "next_time", counting)
    put(scaling, Schedule="cron(0 0 29 2 ? 2199)", **NIGHT)  # that year has no such day
    for _ in range(3):
        scaling.look(60)
    assert len(searched) == 1
    put(scaling, Schedule=at(scaling.clock.now + 30), **NIGHT)
    scaling.look(60)
    scaling.look(60)
    assert len(searched) == 3  # after the change, and after its run
    assert bounds(scaling) == (2, 3)


def test_start_and_end_bound_a_recurring_action(scaling: ScalingEnvironment) -> None:
    now_s = scaling.clock.now
    put(scaling, Schedule="rate(1 day)", StartTime=now_s + 100, EndTime=now_s + DAY_S + 200, **NIGHT)
    scaling.look(99)
    assert scaling.activities() == []
    scaling.look(1)
    assert bounds(scaling) == (2, 3)
    scaling.look(DAY_S)
    scaling.look(DAY_S)
    causes = [one["Cause"] for one in scaling.activities()]
    assert causes.count("scheduled action name night was triggered") == 2


def test_what_was_missed_while_suspended_is_not_run_later(scaling: ScalingEnvironment) -> None:
    put(scaling, Schedule=at(scaling.clock.now + 5), **NIGHT)
    scaling.register(1, 4, SuspendedState={"ScheduledScalingSuspended": True})
    scaling.look(10)
    scaling.register(1, 4, SuspendedState={"ScheduledScalingSuspended": False})
    scaling.look(10)
    assert (bounds(scaling), scaling.activities()) == ((1, 4), [])


def test_an_action_that_leaves_no_range_fails(scaling: ScalingEnvironment) -> None:
    put(scaling, Schedule=at(scaling.clock.now + 5), ScalableTargetAction={"MinCapacity": 5})
    scaling.look(10)
    [failed] = scaling.activities()
    assert (bounds(scaling), failed["StatusCode"]) == ((1, 4), "Failed")
    assert failed["StatusMessage"] == (
        "Failed to set min capacity to 5. Reason: Maximum capacity cannot be less than minimum capacity."
    )


def test_a_rate_is_compressed_and_a_moment_is_not() -> None:
    scaling = ScalingEnvironment(factor=60)
    scaling.register(1, 9)
    put(scaling, "rate", Schedule="rate(1 minute)", ScalableTargetAction={"MaxCapacity": 8})
    put(scaling, "moment", Schedule=at(scaling.clock.now + 60), ScalableTargetAction={"MaxCapacity": 7})
    scaling.look(1.0)
    assert bounds(scaling) == (1, 8)
    scaling.look(58.0)
    assert bounds(scaling) == (1, 8)
    scaling.look(1.0)
    assert "scheduled action name moment was triggered" in [one["Cause"] for one in scaling.activities()]

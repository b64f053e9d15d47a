"""The loop: from a metric to another capacity, and what is said of it."""

import threading
from datetime import UTC, datetime
from typing import Any

import pytest

from stagemaker.core.errors import ApiError
from stagemaker.core.supervisor import Supervisor
from stagemaker.scaling.scalables import Capacity
from tests.unit.plugin.fakes import SCOPE
from tests.unit.plugin.scaling.scaling_environment import RESOURCE, ScalingEnvironment


@pytest.fixture
def scaling() -> ScalingEnvironment:
    return ScalingEnvironment()


def states(scaling: ScalingEnvironment) -> list[str]:
    return [alarm["StateValue"] for alarm in scaling.cloudwatch.alarms.values()]


def test_three_minutes_above_the_target_add_what_is_missing(scaling: ScalingEnvironment) -> None:
    scaling.register()
    high, low = (alarm["AlarmName"] for alarm in scaling.track(100.0)["Alarms"])
    scaling.minutes(250.0, 250.0)
    assert scaling.scalable.asked == []
    assert states(scaling) == ["OK", "OK"]
    scaling.minutes(250.0)
    assert scaling.scalable.asked == [3]
    assert states(scaling) == ["ALARM", "OK"]
    reason = scaling.cloudwatch.alarms[high]["StateReason"]
    assert reason == (
        "Threshold Crossed: 3 out of the last 3 datapoints [250.0, 250.0, 250.0] were greater than the threshold "
        "(100.0)."
    )
    [activity] = scaling.activities()
    assert activity == {
        **RESOURCE,
        "ActivityId": activity["ActivityId"],
        "Description": "Setting desired instance count to 3.",
        "Cause": f"monitor alarm {high} in state ALARM triggered policy track",
        "StartTime": activity["StartTime"],
        "StatusCode": "InProgress",
        "StatusMessage": (
            "Successfully set desired instance count to 3. Waiting for change to be fulfilled by sagemaker."
        ),
    }
    scaling.scalable.settle()
    scaling.look(5)
    [done] = scaling.activities()
    assert (done["StatusCode"], done["EndTime"]) == ("Successful", scaling.clock.now)
    assert done["StatusMessage"] == (
        "Successfully set desired instance count to 3. Change successfully fulfilled by sagemaker."
    )
    assert low in scaling.cloudwatch.alarms


def test_fifteen_idle_minutes_go_to_the_minimum_after_the_cooldown(scaling: ScalingEnvironment) -> None:
    scaling.scalable.now = Capacity(4, 4)
    scaling.register(low=2)
    scaling.track(100.0)
    scaling.minutes(*[0.0] * 14)
    assert scaling.scalable.asked == []
    scaling.minutes(0.0)
    assert scaling.scalable.asked == [2]
    assert states(scaling) == ["OK", "ALARM"]


def test_without_data_nothing_happens(scaling: ScalingEnvironment) -> None:
    scaling.register()
    scaling.track(100.0)
    scaling.minutes(*[None] * 20)
    assert (scaling.scalable.asked, states(scaling)) == ([], ["INSUFFICIENT_DATA", "INSUFFICIENT_DATA"])
    assert scaling.activities(IncludeNotScaledActivities=True) == []


def test_data_that_come_later_still_count(scaling: ScalingEnvironment) -> None:
    scaling.register()
    scaling.track(100.0)
    scaling.minutes(250.0, None, 250.0)
    late_s = int(scaling.clock.now) - 120
    assert late_s not in scaling.cloudwatch.data
    scaling.cloudwatch.data[late_s] = 250.0
    scaling.minutes(250.0)
    assert scaling.scalable.asked == [3]


def test_data_of_compressed_time_may_be_seconds_late() -> None:
    scaling = ScalingEnvironment(factor=60)
    scaling.register()
    scaling.track(100.0)
    scaling.minutes(*[None] * 4)
    first_s = int(scaling.clock.now) - 4
    for second in range(first_s, first_s + 3):
        scaling.cloudwatch.data[second] = 250.0
    scaling.minutes(250.0)
    assert scaling.scalable.asked == [3]


def test_only_new_periods_are_asked_for(scaling: ScalingEnvironment) -> None:
    scaling.register()
    scaling.track(100.0)
    scaling.minutes(90.0, 90.0)
    assert [count for _, _, count in scaling.cloudwatch.queries] == [20, 3]
    scaling.look()
    scaling.look(1)
    assert len(scaling.cloudwatch.queries) == 2


def test_data_that_nobody_looks_at_are_forgotten(scaling: ScalingEnvironment) -> None:
    scaling.register()
    scaling.track(100.0)
    scaling.minutes(90.0)
    scaling.policies.delete_scaling_policy(SCOPE, {**RESOURCE, "PolicyName": "track"})
    scaling.look()
    scaling.track(100.0)
    scaling.minutes(90.0)
    assert [count for _, _, count in scaling.cloudwatch.queries] == [20, 20]


def test_a_change_that_goes_on_waits_for_its_end(scaling: ScalingEnvironment) -> None:
    scaling.register()
    scaling.track(100.0, ScaleOutCooldown=0, PredefinedMetricSpecification=_invocations())
    scaling.minutes(250.0, 250.0, 250.0, 900.0, 900.0, 900.0)
    assert scaling.scalable.asked == [3]
    scaling.scalable.settle()
    scaling.minutes(900.0)
    assert scaling.scalable.asked == [3, 4]


def test_within_the_cooldown_only_a_larger_need_acts(scaling: ScalingEnvironment) -> None:
    scaling.register(high=9)
    scaling.track(100.0, ScaleOutCooldown=600, PredefinedMetricSpecification=_invocations())
    scaling.minutes(250.0, 250.0, 250.0)
    scaling.scalable.settle()
    scaling.minutes(250.0, 250.0)
    assert scaling.scalable.asked == [3]
    scaling.minutes(450.0)
    assert scaling.scalable.asked == [3, 5]


def _invocations() -> dict[str, str]:
    return {"PredefinedMetricType": "SageMakerVariantInvocationsPerInstance"}


def test_suspended_scaling_does_nothing_but_evaluates_the_alarms(scaling: ScalingEnvironment) -> None:
    scaling.register(SuspendedState={"DynamicScalingOutSuspended": True})
    scaling.track(100.0)
    scaling.minutes(250.0, 250.0, 250.0)
    assert (scaling.scalable.asked, states(scaling)) == ([], ["ALARM", "OK"])
    scaling.targets.register_scalable_target(
        SCOPE, {**RESOURCE, "SuspendedState": {"DynamicScalingOutSuspended": False}}
    )
    scaling.minutes(250.0)
    assert scaling.scalable.asked == [3]


def test_an_alarm_at_the_maximum_is_told_once(scaling: ScalingEnvironment) -> None:
    scaling.register(high=1)
    scaling.track(100.0)
    scaling.minutes(*[250.0] * 6)
    assert scaling.activities() == []
    [told] = scaling.activities(IncludeNotScaledActivities=True)
    assert told["NotScaledReasons"] == [{"Code": "AlreadyAtMaxCapacity", "MaxCapacity": 1}]
    assert (told["Description"], told["StatusCode"]) == ("Attempting to scale due to alarm triggered", "Failed")


@pytest.mark.parametrize(
    ("count", "range_", "cause"),
    [(1, (2, 4), "minimum capacity was set to 2"), (6, (1, 4), "maximum capacity was set to 4")],
)
def test_a_capacity_outside_of_the_range_is_corrected_at_once(
    scaling: ScalingEnvironment, count: int, range_: tuple[int, int], cause: str
) -> None:
    scaling.scalable.now = Capacity(count, count)
    scaling.register(*range_)
    scaling.look()
    assert len(scaling.scalable.asked) == 1
    assert [activity["Cause"] for activity in scaling.activities()] == [cause]


def test_an_endpoint_that_changes_is_corrected_later(scaling: ScalingEnvironment) -> None:
    scaling.scalable.now = Capacity(1, 1, changing=True)
    scaling.register(low=2)
    scaling.look()
    assert scaling.scalable.asked == []
    scaling.scalable.settle()
    scaling.look()
    assert scaling.scalable.asked == [2]


def test_a_refusal_is_a_failed_activity_and_tried_again_a_minute_later(scaling: ScalingEnvironment) -> None:
    scaling.scalable.refusal = ApiError("ResourceLimitExceeded", "There is no room.")
    scaling.register(low=2)
    scaling.look()
    scaling.look(1)
    assert scaling.scalable.asked == [2]
    [failed] = scaling.activities()
    assert failed["StatusCode"] == "Failed"
    assert failed["StatusMessage"] == "Failed to set desired instance count to 2. Reason: There is no room."
    scaling.look(60)
    assert scaling.scalable.asked == [2, 2]


@pytest.mark.parametrize(
    ("after", "reason"),
    [
        (Capacity(1, 1, failure="It did not pass the ping."), "It did not pass the ping."),
        (None, "The resource was changed or deleted meanwhile."),
    ],
)
def test_a_change_that_is_taken_back_is_a_failed_activity(
    scaling: ScalingEnvironment, after: Capacity | None, reason: str
) -> None:
    scaling.register(low=2)
    scaling.look()
    scaling.scalable.now = after
    scaling.look(1)
    [failed] = scaling.activities()
    assert failed["StatusMessage"] == f"Failed to set desired instance count to 2. Reason: {reason}"


def test_a_change_of_a_target_that_is_deregistered_is_a_failed_activity(scaling: ScalingEnvironment) -> None:
    scaling.register(low=2)
    scaling.look()
    scaling.targets.deregister_scalable_target(SCOPE, RESOURCE)
    scaling.look(1)
    [failed] = scaling.activities()
    assert failed["StatusMessage"].endswith("Reason: The scalable target was deregistered meanwhile.")


def test_reaching_the_maximum_is_an_event(scaling: ScalingEnvironment) -> None:
    scaling.register(high=2)
    scaling.track(100.0)
    scaling.minutes(250.0, 250.0, 250.0)
    scaling.scalable.settle()
    scaling.look(1)
    [detail] = scaling.bus.details
    [activity] = scaling.activities()
    times = {"startTime": activity["StartTime"], "endTime": activity["EndTime"]}
    assert dict(detail) == {
        **{name: f"{datetime.fromtimestamp(moment_s, UTC):%Y-%m-%dT%H:%M:%SZ}" for name, moment_s in times.items()},
        "oldDesiredCapacity": 1,
        "newDesiredCapacity": 2,
        "minCapacity": 1,
        "maxCapacity": 2,
        "resourceId": RESOURCE["ResourceId"],
        "scalableDimension": "sagemaker:variant:DesiredInstanceCount",
        "serviceNamespace": "sagemaker",
        "statusCode": "Successful",
        "scaledToMax": True,
        "direction": "scale-out",
    }


def test_an_alarm_of_ours_that_somebody_deleted_is_made_anew(scaling: ScalingEnvironment) -> None:
    scaling.register()
    high = scaling.track(100.0)["Alarms"][0]["AlarmName"]
    del scaling.cloudwatch.alarms[high]
    scaling.minutes(250.0, 250.0, 250.0)
    assert scaling.cloudwatch.alarms[high]["StateValue"] == "ALARM"


def test_a_policy_that_is_put_again_tells_its_alarms_states_again(scaling: ScalingEnvironment) -> None:
    scaling.register(high=1)
    scaling.track(100.0)
    scaling.minutes(250.0, 250.0, 250.0)
    scaling.track(100.0)
    assert states(scaling) == ["INSUFFICIENT_DATA", "INSUFFICIENT_DATA"]
    scaling.minutes(250.0)
    assert states(scaling) == ["ALARM", "OK"]


def alarm(policy: str, **members: Any) -> dict[str, Any]:
    """An alarm of a caller whose action is a step scaling policy."""
    return {
        "AlarmName": "mine",
        "AlarmActions": [policy],
        "Namespace": "Mine",
        "MetricName": "Backlog",
        "Statistic": "Average",
        "Period": 60,
        "EvaluationPeriods": 2,
        "Threshold": 10.0,
        "ComparisonOperator": "GreaterThanOrEqualToThreshold",
        **members,
    }


def test_a_step_policy_acts_on_the_alarm_of_its_caller(scaling: ScalingEnvironment) -> None:
    scaling.register(high=9)
    arn = scaling.step(
        {"MetricIntervalLowerBound": 0.0, "MetricIntervalUpperBound": 10.0, "ScalingAdjustment": 1},
        {"MetricIntervalLowerBound": 10.0, "ScalingAdjustment": 3},
    )
    scaling.cloudwatch.put(SCOPE, alarm(arn))
    scaling.minutes(25.0)
    assert states(scaling) == ["OK"]
    scaling.minutes(25.0)
    assert (scaling.scalable.asked, states(scaling)) == ([4], ["ALARM"])
    [activity] = scaling.activities()
    assert activity["Cause"] == "monitor alarm mine in state ALARM triggered policy step"
    query = scaling.cloudwatch.queries[0][0]["MetricStat"]
    assert (query["Metric"]["MetricName"], query["Stat"], query["Period"]) == ("Backlog", "Average", 60)


@pytest.mark.parametrize(
    "members",
    [
        {"ActionsEnabled": False},
        {"AlarmActions": ["arn:aws:autoscaling:eu-west-1:000000000000:scalingPolicy:another"]},
        {"Statistic": None, "ExtendedStatistic": "p90"},
        {"ComparisonOperator": "GreaterThanUpperThreshold"},
        {"EvaluationPeriods": 1441},
    ],
)
def test_an_alarm_that_is_not_its_own_leaves_a_step_policy_alone(
    scaling: ScalingEnvironment, members: dict[str, Any]
) -> None:
    scaling.register()
    scaling.cloudwatch.put(SCOPE, alarm(scaling.step(), **members))
    scaling.minutes(25.0, 25.0, 25.0)
    assert scaling.scalable.asked == []


def test_time_that_is_compressed_shrinks_periods_and_cooldowns_and_is_said() -> None:
    scaling = ScalingEnvironment(factor=60)
    scaling.register(high=9)
    names = [each["AlarmName"] for each in scaling.track(100.0)["Alarms"]]
    began_s = scaling.clock.now
    scaling.minutes(250.0, 250.0, 250.0)
    assert scaling.clock.now - began_s == 3
    assert scaling.scalable.asked == [3]
    scaling.scalable.settle()
    scaling.minutes(*[0.0] * 15)
    assert scaling.scalable.asked == [3, 1]
    sentence = "Stagemaker: time is compressed 60 times: a minute of AWS takes 1 s."
    assert {activity["Details"] for activity in scaling.activities()} == {sentence}
    shown = [scaling.cloudwatch.alarms[name] for name in names]
    assert all(each["AlarmDescription"].endswith(sentence) for each in shown)
    assert [(each["Period"], each["EvaluationPeriods"]) for each in shown] == [(60, 3), (60, 15)]


def test_a_cloudwatch_that_is_away_is_asked_again(
    scaling: ScalingEnvironment, caplog: pytest.LogCaptureFixture
) -> None:
    scaling.register()
    scaling.track(100.0)
    scaling.cloudwatch.is_down = True
    scaling.minutes(250.0, 250.0)
    assert "scaling of endpoint/end/variant/all" in caplog.text
    scaling.cloudwatch.is_down = False
    scaling.minutes(250.0)
    assert scaling.scalable.asked == [3]


def test_the_loop_is_a_task_that_ends_with_its_supervisor(scaling: ScalingEnvironment) -> None:
    supervisor, asked = Supervisor(), threading.Event()
    original = scaling.scalable.set_desired

    def set_desired(*arguments: Any) -> None:
        original(*arguments)
        asked.set()

    scaling.scalable.set_desired = set_desired  # type: ignore[method-assign, assignment]
    scaling.scaling.loop.start(supervisor)
    scaling.register(low=2)
    assert asked.wait(30)
    supervisor.close()
    assert supervisor.threads() == []

"""Scaling activities: which are kept and shown."""

from typing import Any

from stagemaker.scaling.activities import KEPT_S
from stagemaker.scaling.decision import NotScaledReason
from stagemaker.scaling.resources import resource_of
from tests.unit.plugin.fakes import SCOPE
from tests.unit.plugin.scaling.scaling_environment import RESOURCE, ScalingEnvironment, refusal


def test_the_newest_are_first_and_come_in_pages() -> None:
    scaling = ScalingEnvironment()
    for number in range(3):
        scaling.scaling.activities.begin(SCOPE, resource_of(RESOURCE), f"{number}", "cause")
        scaling.clock.now += 1
    request: dict[str, Any] = {**RESOURCE, "MaxResults": 2}
    first = scaling.scaling.activities.describe_scaling_activities(SCOPE, request)
    second = scaling.scaling.activities.describe_scaling_activities(SCOPE, {**request, "NextToken": first["NextToken"]})
    shown = [activity["Description"] for page in (first, second) for activity in page["ScalingActivities"]]
    assert (shown, "NextToken" in second) == (["2", "1", "0"], False)
    foreign = {"ServiceNamespace": "sagemaker", "NextToken": first["NextToken"]}
    assert refusal(lambda: scaling.targets.describe_scalable_targets(SCOPE, foreign))[0] == "InvalidNextTokenException"


def test_they_are_shown_for_six_weeks() -> None:
    scaling = ScalingEnvironment()
    scaling.scaling.activities.begin(SCOPE, resource_of(RESOURCE), "old", "cause")
    scaling.clock.now += KEPT_S + 1
    assert scaling.activities() == []


def test_a_reason_is_told_again_only_after_something_else() -> None:
    scaling = ScalingEnvironment()
    activities, resource = scaling.scaling.activities, resource_of(RESOURCE)
    reasons = (NotScaledReason("AlreadyAtMaxCapacity", "MaxCapacity", 2),)
    for _ in range(3):
        activities.not_scaled(SCOPE, resource, "cause", reasons)
    activities.begin(SCOPE, resource, "done", "cause")
    activities.not_scaled(SCOPE, resource, "cause", reasons)
    shown = scaling.activities(IncludeNotScaledActivities=True)
    assert len([one for one in shown if "NotScaledReasons" in one]) == 2
    assert len(scaling.activities()) == 1

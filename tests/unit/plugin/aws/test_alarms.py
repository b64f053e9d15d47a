"""CloudWatch's answers as scaling reads them."""

from datetime import UTC, datetime
from typing import Any

import pytest
from botocore.exceptions import ClientError

from stagemaker.aws.alarms import CloudWatchAlarms, in_periods
from stagemaker.core.errors import ApiError
from stagemaker.core.refs import Scope

SCOPE = Scope("123456789012", "eu-west-1")


def moment(second: int) -> datetime:
    return datetime.fromtimestamp(second, UTC)


def test_each_value_is_in_the_place_of_its_period() -> None:
    times = [moment(180), moment(60)]
    assert in_periods(times, [3.0, 1.0], start_s=60, period_s=60, count=4) == [1.0, None, 3.0, None]
    assert in_periods([], [], start_s=60, period_s=60, count=2) == [None, None]


class CloudWatch:
    """Refuses what it does not know."""

    def __init__(self, alarms: list[dict[str, Any]]) -> None:
        self.alarms = alarms

    def describe_alarms(self) -> dict[str, Any]:
        return {"MetricAlarms": self.alarms}

    def set_alarm_state(self, **_: Any) -> None:
        raise ClientError({"Error": {"Code": "ResourceNotFound", "Message": "There is none."}}, "SetAlarmState")


def test_only_alarms_with_a_policy_as_their_action_are_given() -> None:
    policy = "arn:aws:autoscaling:eu-west-1:123456789012:scalingPolicy:1:resource/sagemaker/x:policyName/p"
    alarms = [{"AlarmName": "a", "AlarmActions": [policy]}, {"AlarmName": "b", "AlarmActions": ["arn:aws:sns:x"]}, {}]
    found = CloudWatchAlarms(lambda _service, _scope: CloudWatch(alarms)).with_actions(SCOPE)
    assert [alarm["AlarmName"] for alarm in found] == ["a"]


def test_what_cloudwatch_refuses_is_a_failed_access() -> None:
    cloudwatch = CloudWatchAlarms(lambda _service, _scope: CloudWatch([]))
    with pytest.raises(
        ApiError, match="FailedResourceAccessException: CloudWatch does not take set_alarm_state: An error"
    ):
        cloudwatch.set_state(SCOPE, "none", "OK", "because")

"""The alarms of target tracking, and the capacity that it wants."""

import pytest

from stagemaker.scaling.alarm_rules import Alarm, Comparison
from stagemaker.scaling.tracking import TargetTracking, desired_capacity, high_alarm, low_alarm


def test_the_alarms_are_those_of_a_live_account() -> None:
    tracking = TargetTracking(1500.0)
    assert high_alarm(tracking) == Alarm(1500.0, Comparison.GREATER, 60, 3, 3)
    assert low_alarm(tracking) == Alarm(1350.0, Comparison.LESS, 60, 15, 15)


def test_a_metric_of_high_resolution_is_compared_every_ten_seconds() -> None:
    tracking = TargetTracking(5.0, period_s=10)
    assert high_alarm(tracking) == Alarm(5.0, Comparison.GREATER, 10, 3, 3)
    assert low_alarm(tracking) == Alarm(4.5, Comparison.LESS, 10, 90, 90)


def test_the_cooldowns_are_five_minutes_when_nothing_is_said() -> None:
    tracking = TargetTracking(70.0)
    assert (tracking.scale_in_cooldown_s, tracking.scale_out_cooldown_s, tracking.disable_scale_in) == (300, 300, False)


@pytest.mark.parametrize(
    ("current", "metric", "expected"),
    [
        (1, 100.1, 2),
        (1, 200.0, 2),
        (1, 200.1, 3),
        (2, 450.0, 9),
        (3, 110.0, 4),
        (10, 90.0, 10),  # at 0.9 of the target and up to it the capacity stays
        (10, 100.0, 10),
        (20, 92.0, 20),  # 18.4 instances would do, but it is not clearly under
        (10, 89.9, 9),
        (10, 41.0, 5),
        (10, 40.0, 4),
        (2, 80.0, 2),  # one instance would have 160
        (4, 0.0, 0),
        (0, 0.0, 0),
        (0, 101.0, 1),  # nothing is known of how much one takes
        (0, 100000.0, 1),
    ],
)
def test_the_capacity_is_in_proportion_to_the_metric(current: int, metric: float, expected: int) -> None:
    assert desired_capacity(current, metric, TargetTracking(100.0)) == expected


@pytest.mark.parametrize("instances", [3, 7, 11, 49])
def test_the_error_of_a_sum_of_fractions_adds_no_instance(instances: int) -> None:
    """SageMaker sends 1/instances for each request; a sum of many of them is a little above or below."""
    requests = 1000 * instances * 2
    metric = sum(1 / instances for _ in range(requests))
    assert desired_capacity(instances, metric, TargetTracking(1000.0)) == instances * 2
    assert desired_capacity(instances, 2000.0000000004, TargetTracking(1000.0)) == instances * 2
    assert desired_capacity(instances, 2001.0, TargetTracking(1000.0)) == instances * 2 + 1


def test_a_target_below_one_works_alike() -> None:
    tracking = TargetTracking(0.7)
    assert desired_capacity(3, 2.1, tracking) == 9
    assert desired_capacity(3, 0.1, tracking) == 1

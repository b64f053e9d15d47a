"""Curves of arrivals whose answers were computed by hand. `mN` is the minute that ends at N x 60 s."""

import math

import pytest

from stagemaker.scaling.alarm_rules import Alarm, AlarmState, Comparison
from stagemaker.scaling.simulate import Period, SimulatedVariant, Simulation, StepPolicy, simulate
from stagemaker.scaling.steps import step_scaling
from stagemaker.scaling.tracking import TargetTracking
from tests.unit.plugin.scaling.policies import config, step

OK, ALARM, NO_DATA = AlarmState.OK, AlarmState.ALARM, AlarmState.INSUFFICIENT_DATA


def metrics(found: Simulation, *minutes: int) -> list[float | None]:
    return [found.periods[minute - 1].metric for minute in minutes]


def codes(found: Simulation) -> list[tuple[float, str]]:
    return [(one.start_s, reason.code) for one in found.activities for reason in one.not_scaled]


def test_a_step_of_the_load_with_the_target_of_the_live_account() -> None:
    """m4 to m6 are above 1500: at 360 s ceil(1 x 6000 / 1500) = 4, which serve from 420 s. The load falls after m15;
    m16 to m30 are below 1350: at 1800 s ceil(4 x 150 / 1500) = 1."""
    variant = SimulatedVariant(per_instance=1500, maximum=8, start_s=60)
    found = simulate([1200] * 3 + [6000] * 12 + [600] * 18, variant, [TargetTracking(1500)])
    assert found.scalings == [(360, 4), (1800, 1)]
    assert metrics(found, 3, 6, 7, 8, 15, 16, 30, 31) == [1200, 6000, 6000, 1500, 1500, 150, 150, 600]
    assert found.periods[5] == Period(360, 6000, 6000, 1, ((ALARM, OK),))
    assert found.periods[29] == Period(1800, 600, 150, 4, ((OK, ALARM),))
    assert found.under_instance_s == 3 * 4 * 60  # m4 to m7 have 1 of 4
    assert found.over_instance_s == 3 * 15 * 60  # m16 to m30 have 4 of 1
    assert codes(found) == [
        (1860, "AlreadyAtMinCapacity"),
        (1920, "AlreadyAtMinCapacity"),
        (1980, "AlreadyAtMinCapacity"),
    ]


def test_a_ramp_goes_on_in_the_cooldown_only_for_a_larger_need() -> None:
    """1000 more each minute, up to 12000. At 240 s, after m2 to m4: 4, counted from 1. At 300 s m5 = 5000 / 1: 5,
    still counted from 1, and its cooldown ends at 660 s. m6 to m10 ask for 2 of what was 1: nothing. At 660 s
    m11 = 11000 / 5: 11. At 720 s, in the cooldown, m12 = 12000 / 5 counted from 5: 12."""
    variant = SimulatedVariant(per_instance=1000, maximum=12, start_s=60)
    found = simulate([1000 * min(minute, 12) for minute in range(1, 21)], variant, [TargetTracking(1000)])
    assert found.scalings == [(240, 4), (300, 5), (660, 11), (720, 12)]
    assert metrics(found, 5, 6, 11, 12, 13, 14) == [5000, 1500, 2200, 2400, pytest.approx(12000 / 11), 1000]
    missing = [0, 1, 2, 3, 4, 2, 2, 3, 4, 5, 6, 7, 1]  # m1 to m13
    assert found.under_instance_s == sum(missing) * 60
    assert found.over_instance_s == 0


def test_an_hour_of_a_sine() -> None:
    """From 1000 to 5000 and back. m1 to m3 (1011, 1044, 1098): 2. m11 to m13 (the last 2584 / 2): 3. The cooldowns end
    at 1140 s and 1500 s, in alarm: m19 (3813 / 3): 4, m25 (4732 / 4): 5. m37 is the first below 900, so the low alarm
    is at 3060 s; the largest of its points is m37 = 897, then 868, 835, with which 5 are needed; at 3240 s m40 = 800:
    4. Its cooldown ends at 3540 s: the largest is m45 = 600: ceil(2.4) = 3."""
    load = [round(3000 - 2000 * math.cos(2 * math.pi * minute / 60)) for minute in range(1, 61)]
    assert load[:3] == [1011, 1044, 1098]
    found = simulate(load, SimulatedVariant(per_instance=1000, maximum=10, start_s=60), [TargetTracking(1000)])
    assert found.scalings == [(180, 2), (780, 3), (1140, 4), (1500, 5), (3240, 4), (3540, 3)]
    assert found.under_instance_s == (4 + 4 + 5 + 6) * 60  # m1 to m4, m11 to m14, m16 to m20, m21 to m26
    # m40 to m44 have 5 of 4, m45 to m49 5 of 3, m50 to m54 5 of 2, m55 to m59 4 of 2, m60 3 of 1.
    assert found.over_instance_s == (5 * 1 + 5 * 2 + 5 * 3 + 5 * 2 + 1 * 2) * 60
    assert codes(found)[:4] == [
        (3060, "AutoScalingAnticipatedFlapping"),
        (3120, "AutoScalingAnticipatedFlapping"),
        (3180, "AutoScalingAnticipatedFlapping"),
        (3300, "AutoScalingAnticipatedFlapping"),
    ]


def test_an_idle_endpoint_sends_zeros_and_goes_to_its_minimum() -> None:
    variant = SimulatedVariant(per_instance=100, instances=3, minimum=1)
    found = simulate([0] * 15, variant, [TargetTracking(100)])
    assert found.scalings == [(900, 1)]
    assert found.over_instance_s == 3 * 900


def test_a_variant_without_instances_has_no_metric_and_stays_at_zero() -> None:
    variant = SimulatedVariant(per_instance=100, instances=0, minimum=0)
    found = simulate([500] * 5, variant, [TargetTracking(100)])
    assert found.activities == ()
    assert found.periods[-1] == Period(300, 500, None, 0, ((NO_DATA, NO_DATA),))


def test_an_instance_that_comes_in_the_middle_of_a_minute_counts_from_then_on() -> None:
    """m5: 30 s with 1 and 30 s with 3."""
    variant = SimulatedVariant(per_instance=100, start_s=90)
    found = simulate([300] * 6, variant, [TargetTracking(100)])
    assert found.scalings == [(180, 3)]
    assert metrics(found, 4, 5, 6) == [300, 150 + 50, 100]
    assert found.under_instance_s == 2 * 270


def test_nothing_is_decided_while_a_change_goes_on() -> None:
    variant = SimulatedVariant(per_instance=100, maximum=10, start_s=240)
    found = simulate([300] * 3 + [900] * 6, variant, [TargetTracking(100)])
    assert found.scalings == [(180, 3), (420, 9)]


def test_a_decision_comes_after_the_lag_of_its_metric() -> None:
    """m4: 20 s of lag and 30 s of start with 1, then 10 s with 3."""
    variant = SimulatedVariant(per_instance=100, start_s=30, lag_s=20)
    found = simulate([300] * 5, variant, [TargetTracking(100)])
    assert found.scalings == [(200, 3)]
    assert metrics(found, 3, 4, 5) == [300, pytest.approx(250 + 50 / 3), 100]
    assert found.under_instance_s == 2 * 230


def test_an_instance_that_stops_slowly_serves_until_then() -> None:
    variant = SimulatedVariant(per_instance=100, instances=4, stop_s=120)
    found = simulate([100] * 18, variant, [TargetTracking(100)])
    assert found.scalings == [(900, 1)]
    assert metrics(found, 15, 17, 18) == [25, 25, 100]


def test_a_step_policy_adds_one_after_each_cooldown() -> None:
    """At 120 s m2 = 150: 2, serving from 180 s. m5 = 350 / 2 = 175: the cooldown has ended at 300 s: 3. m8 = 350 / 3:
    the next ends at 480 s: 4."""
    policy = StepPolicy(
        step_scaling(config(step(1, 0, 100), step(3, 100), Cooldown=120)),
        Alarm(100.0, Comparison.GREATER_OR_EQUAL, 60, 1, 1),
    )
    variant = SimulatedVariant(per_instance=100, maximum=10, start_s=60)
    found = simulate([50] + [150] * 3 + [350] * 6, variant, [policy])
    assert found.scalings == [(120, 2), (300, 3), (480, 4)]
    assert metrics(found, 2, 3, 4, 5, 6, 10) == [150, 150, 75, 175, 175, 87.5]
    assert [period.alarms for period in found.periods[:4]] == [((OK,),), ((ALARM,),), ((ALARM,),), ((OK,),)]


def test_a_higher_step_acts_in_the_cooldown() -> None:
    """At 120 s m2 = 150: 2. At 180 s m3 = 250, 150 above the threshold: +3 counted from 1 is 4."""
    policy = StepPolicy(
        step_scaling(config(step(1, 0, 100), step(3, 100))), Alarm(100.0, Comparison.GREATER_OR_EQUAL, 60, 1, 1)
    )
    variant = SimulatedVariant(per_instance=100, maximum=10, start_s=60)
    assert simulate([50, 150, 250, 250], variant, [policy]).scalings == [(120, 2), (180, 4)]


def test_two_policies_act_together() -> None:
    """The stricter target wins out, and the less strict one prevents nothing on the way in."""
    variant = SimulatedVariant(per_instance=50, maximum=10, start_s=60)
    found = simulate([100] * 5 + [0] * 16, variant, [TargetTracking(100), TargetTracking(50)])
    assert found.scalings == [(180, 2), (1200, 1)]


# The five systems that the stage must be able to be. An instance of SageMaker takes some 4 minutes to start.


def test_system_a_waits_for_its_instances_and_then_keeps_all_four() -> None:
    """At most 4, target 25, cooldowns 30 s and 5 s. At 360 s ceil(90 / 25) = 4, serving from 600 s; 90 / 4 = 22.5 is
    not below 0.9 x 25. m16 to m30 are idle: at 1800 s 1."""
    policy = TargetTracking(25, scale_in_cooldown_s=30, scale_out_cooldown_s=5)
    variant = SimulatedVariant(per_instance=25, maximum=4, start_s=240)
    found = simulate([20] * 3 + [90] * 12 + [0] * 20, variant, [policy])
    assert found.scalings == [(360, 4), (1800, 1)]
    assert metrics(found, 10, 11) == [90, 22.5]
    assert found.under_instance_s == 3 * 7 * 60  # m4 to m10
    assert found.over_instance_s == (4 * 15 + 1 * 5) * 60


def test_system_b_reaches_its_five_in_two_changes() -> None:
    """1 to 5; 20 a minute each, as its Lambda reserves for each. At 240 s m4 = 80: 4, serving from 480 s. Then, in the
    cooldown, m8 = 100 counted from 1: 5, serving from 720 s."""
    variant = SimulatedVariant(per_instance=20, maximum=5, start_s=240)
    found = simulate([20, 40, 60, 80] + [100] * 16, variant, [TargetTracking(20)])
    assert found.scalings == [(240, 4), (480, 5)]
    assert metrics(found, 8, 9, 12, 13) == [100, 25, 25, 20]
    assert found.under_instance_s == (1 + 2 + 3 + 4 * 4 + 1 * 4) * 60
    assert found.over_instance_s == 0


def test_system_c_overshoots_because_its_cooldown_is_shorter_than_a_minute() -> None:
    """Target 100, cooldowns 10 s and 10 s; instances that start within 90 s. At 300 s m5 = 450: 5, serving from 390 s.
    m7 is half with 1, half with 5: 225 + 45 = 270. The cooldown ended at 400 s, so that at 420 s 5 x 2.7 = 13.5 asks
    for 14, of which 10 are allowed. From 540 s on all is below 90: at 1380 s the largest point is m9 = 45 + 22.5: 7;
    at 1440 s it is m24 = 450 / 7: 5, with which the metric is 90."""
    policy = TargetTracking(100, scale_in_cooldown_s=10, scale_out_cooldown_s=10)
    variant = SimulatedVariant(per_instance=100, maximum=10, start_s=90)
    found = simulate([100] * 2 + [450] * 24, variant, [policy])
    assert metrics(found, 7, 8, 9, 10, 25) == [270, 90, 67.5, 45, 90]
    assert found.scalings == [(300, 5), (420, 10), (1380, 7), (1440, 5)]


def test_system_d_compares_scaling_with_none() -> None:
    variant, load = SimulatedVariant(per_instance=25, maximum=4, start_s=240), [20] * 3 + [90] * 12
    assert simulate(load, variant, []).under_instance_s == 3 * 12 * 60
    assert simulate(load, variant, [TargetTracking(25)]).under_instance_s == 3 * 7 * 60


def test_system_e_stays_at_its_three_and_says_why() -> None:
    """Up to 3. At 240 s 500 / 50 asks for 10: 3, serving from 480 s; from then on the alarm leads to nothing."""
    variant = SimulatedVariant(per_instance=50, maximum=3, start_s=240)
    found = simulate([10] + [500] * 15, variant, [TargetTracking(50)])
    assert found.scalings == [(240, 3)]
    assert codes(found) == [(minute * 60.0, "AlreadyAtMaxCapacity") for minute in range(8, 17)]
    assert found.under_instance_s == (9 * 7 + 7 * 8) * 60

"""What several policies together decide: which wins, cooldowns, bounds, suspension, and why nothing happens."""

import random
from dataclasses import replace

import pytest

from stagemaker.scaling.alarm_rules import AlarmState
from stagemaker.scaling.decision import (
    NOTHING,
    Decision,
    LastScaling,
    NotScaledReason,
    PolicyView,
    ScalingState,
    Suspension,
    correct,
    decide,
)
from tests.unit.plugin.scaling.policies import step, stepping, tracking, went_out

STATE = ScalingState(capacity=4, minimum=1, maximum=10)
ADD_2 = step(2, 0)
REMOVE_1 = step(-1, None, 0)


def capacity(state: ScalingState, *views: PolicyView, now_s: float = 1000.0) -> int | None:
    return decide(state, views, now_s).capacity


def reasons(state: ScalingState, *views: PolicyView, now_s: float = 1000.0) -> list[dict[str, str | int]]:
    return [reason.described() for reason in decide(state, views, now_s).not_scaled]


def test_a_scale_out_says_what_it_does_and_why() -> None:
    assert decide(STATE, [tracking(150.0)], 1000.0) == Decision(
        capacity=6,
        cause="monitor alarm T-AlarmHigh in state ALARM triggered policy T",
        last=LastScaling(base=4, capacity=6, cooldown_s=300.0, ended_s=None),
    )


def test_a_scale_in_says_what_it_does_and_why() -> None:
    view = tracking(50.0, scale_in_cooldown_s=30.0)
    assert decide(STATE, [view], 1000.0) == Decision(
        capacity=2,
        cause="monitor alarm T-AlarmLow in state ALARM triggered policy T",
        last=LastScaling(base=4, capacity=2, cooldown_s=30.0, ended_s=None),
    )


def test_without_policies_or_alarms_nothing_happens() -> None:
    assert decide(STATE, [], 0.0) == NOTHING
    assert decide(STATE, [tracking(95.0)], 0.0) == NOTHING
    assert decide(STATE, [tracking(None)], 0.0) == NOTHING
    calm = replace(stepping(ADD_2, metric=60.0), alarm_state=AlarmState.OK)
    assert decide(STATE, [calm], 0.0) == NOTHING


def test_the_newest_point_says_how_far_out() -> None:
    rising = replace(tracking(150.0), points=[110.0, 150.0, 200.0])
    assert capacity(STATE, rising) == 8


def test_the_largest_point_that_the_low_alarm_compared_says_how_far_in() -> None:
    one_idle_minute = replace(tracking(50.0), points=[50.0] * 19 + [0.0])
    assert capacity(STATE, one_idle_minute) == 2


# Several policies.


def test_of_several_scale_outs_the_largest_capacity_wins() -> None:
    largest = decide(STATE, [tracking(110.0, "A"), tracking(190.0, "B"), tracking(150.0, "C")], 0.0)
    assert (largest.capacity, largest.cause) == (8, "monitor alarm B-AlarmHigh in state ALARM triggered policy B")
    assert capacity(STATE, tracking(110.0), stepping(step(5, 0), metric=60.0)) == 9
    assert capacity(STATE, stepping(step(5, 0), metric=60.0), stepping(step(3, 0), metric=60.0)) == 9


def test_of_several_scale_ins_the_largest_capacity_wins() -> None:
    assert capacity(STATE, tracking(20.0, "A"), tracking(60.0, "B")) == 3
    assert capacity(STATE, tracking(20.0), stepping(REMOVE_1, metric=40.0)) == 3


def test_a_scale_out_wins_over_a_scale_in() -> None:
    assert capacity(STATE, tracking(20.0, "A"), tracking(110.0, "B")) == 5
    assert capacity(STATE, stepping(REMOVE_1, metric=40.0), tracking(110.0)) == 5


def test_a_scale_in_needs_every_tracking_policy() -> None:
    assert decide(STATE, [tracking(20.0, "A"), tracking(95.0, "B")], 0.0) == NOTHING
    assert decide(STATE, [stepping(REMOVE_1, metric=40.0), tracking(95.0)], 0.0) == NOTHING


def test_a_tracking_policy_without_data_prevents_a_scale_in() -> None:
    assert decide(STATE, [tracking(20.0, "A"), tracking(None, "B")], 0.0) == NOTHING


def test_a_policy_that_may_not_scale_in_is_not_asked_about_it() -> None:
    assert capacity(STATE, tracking(20.0, "A"), tracking(95.0, "B", disable_scale_in=True)) == 1
    assert decide(STATE, [tracking(20.0, disable_scale_in=True)], 0.0) == NOTHING
    assert capacity(STATE, tracking(150.0, disable_scale_in=True)) == 6


# Cooldowns.


def test_in_cooldown_three_after_two_adds_one() -> None:
    """AWS's example."""
    more = stepping(step(3, 0), metric=60.0)
    first = decide(STATE, [stepping(ADD_2, metric=60.0)], 0.0)
    assert first.last is not None
    state = replace(STATE, capacity=6, last=replace(first.last, ended_s=10.0))
    assert capacity(state, more, now_s=309.9) == 7
    assert capacity(state, more, now_s=310.0) == 9


def test_in_cooldown_the_same_need_does_nothing() -> None:
    state = replace(STATE, capacity=6, last=went_out(4, 6))
    assert decide(state, [stepping(ADD_2, metric=60.0)], 100.0) == NOTHING
    assert decide(state, [tracking(150.0)], 100.0) == NOTHING  # 4 x 1.5


def test_a_larger_need_in_cooldown_counts_from_the_capacity_before_the_first_scale_out() -> None:
    """Else +3 would be added in every minute of the cooldown."""
    more = stepping(step(3, 0), metric=60.0)
    second = decide(replace(STATE, capacity=6, last=went_out(4, 6)), [more], 100.0)
    assert second.last == LastScaling(4, 7, 300.0)
    assert decide(replace(STATE, capacity=7, last=replace(second.last, ended_s=100.0)), [more], 200.0) == NOTHING
    assert capacity(replace(STATE, capacity=6, last=went_out(4, 6)), tracking(190.0), now_s=100.0) == 8


def test_a_capacity_that_was_lowered_by_hand_is_what_a_scale_out_counts_from() -> None:
    assert decide(replace(STATE, capacity=2, last=went_out(4, 6)), [tracking(150.0)], 100.0).last == LastScaling(
        base=2, capacity=3, cooldown_s=300.0
    )


def test_while_a_scale_out_goes_on_only_a_larger_need_acts() -> None:
    state = replace(STATE, capacity=6, last=went_out(4, 6, ended_s=None))
    assert decide(state, [tracking(150.0)], 10**9) == NOTHING
    assert capacity(state, tracking(190.0), now_s=10**9) == 8


def test_a_scale_in_waits_out_the_cooldown_of_a_scale_in() -> None:
    state = replace(STATE, last=LastScaling(base=6, capacity=4, cooldown_s=300.0, ended_s=0.0))
    assert decide(state, [tracking(50.0)], 299.9) == NOTHING
    assert capacity(state, tracking(50.0), now_s=300.0) == 2


def test_a_scale_out_interrupts_the_cooldown_of_a_scale_in() -> None:
    state = replace(STATE, last=LastScaling(base=6, capacity=4, cooldown_s=300.0, ended_s=0.0))
    assert capacity(state, tracking(150.0), now_s=60.0) == 6


def test_a_scale_in_does_not_wait_out_the_cooldown_of_a_scale_out_but_its_end() -> None:
    assert capacity(replace(STATE, last=went_out(2, 4)), tracking(50.0), now_s=60.0) == 2
    assert decide(replace(STATE, last=went_out(2, 4, ended_s=None)), [tracking(50.0)], 60.0) == NOTHING


def test_a_scale_in_counts_from_what_there_is_also_in_the_cooldown_of_a_scale_out() -> None:
    assert capacity(replace(STATE, capacity=6, last=went_out(4, 6)), stepping(REMOVE_1, metric=40.0), now_s=60.0) == 5


def test_a_cooldown_of_zero_is_over_at_once() -> None:
    state = replace(STATE, capacity=6, last=went_out(4, 6, ended_s=100.0, cooldown_s=0.0))
    assert capacity(state, tracking(150.0), now_s=100.0) == 9


# Bounds.


@pytest.mark.parametrize(("metric", "expected"), [(1000.0, 10), (0.0, 1)])
def test_the_capacity_stays_within_its_bounds(metric: float, expected: int) -> None:
    assert capacity(STATE, tracking(metric)) == expected


def test_a_variant_scales_to_zero_and_from_zero_by_a_step() -> None:
    state = ScalingState(capacity=1, minimum=0, maximum=4)
    assert capacity(state, tracking(0.0)) == 0
    empty = replace(state, capacity=0)
    assert decide(empty, [tracking(None)], 0.0) == NOTHING
    assert capacity(empty, tracking(None), stepping(step(1, 0), metric=51.0)) == 1


def test_a_capacity_outside_the_bounds_is_corrected_at_once() -> None:
    assert correct(replace(STATE, minimum=6)) == Decision(6, "minimum capacity was set to 6")
    assert correct(replace(STATE, maximum=3, last=went_out(2, 4))) == Decision(3, "maximum capacity was set to 3")
    assert correct(STATE) == NOTHING


# Suspension.


def test_suspended_scaling_does_nothing_in_its_direction() -> None:
    no_in = replace(STATE, suspended=Suspension(scaling_in=True))
    no_out = replace(STATE, suspended=Suspension(scaling_out=True))
    assert decide(no_in, [tracking(50.0)], 0.0) == NOTHING
    assert capacity(no_in, tracking(150.0)) == 6
    assert decide(no_out, [tracking(150.0)], 0.0) == NOTHING
    assert decide(replace(no_out, capacity=10), [tracking(150.0)], 0.0) == NOTHING
    assert capacity(no_out, tracking(50.0)) == 2
    assert capacity(replace(STATE, suspended=Suspension(scheduled=True)), tracking(150.0)) == 6


# Why nothing happens.


def test_an_alarm_that_leads_to_nothing_says_so_as_aws_does() -> None:
    assert decide(replace(STATE, capacity=10), [tracking(150.0)], 0.0) == Decision(
        capacity=None,
        cause="monitor alarm T-AlarmHigh in state ALARM triggered policy T",
        not_scaled=(NotScaledReason("AlreadyAtMaxCapacity", "MaxCapacity", 10),),
    )


def test_the_reason_names_the_capacity_that_it_is_about() -> None:
    assert reasons(replace(STATE, capacity=10), tracking(150.0)) == [
        {"Code": "AlreadyAtMaxCapacity", "MaxCapacity": 10}
    ]
    assert reasons(replace(STATE, capacity=1), tracking(0.0)) == [{"Code": "AlreadyAtMinCapacity", "MinCapacity": 1}]
    assert reasons(replace(STATE, capacity=2), tracking(80.0)) == [
        {"Code": "AutoScalingAnticipatedFlapping", "CurrentCapacity": 2}
    ]
    assert reasons(STATE, stepping(step(4, 0), metric=60.0, kind="ExactCapacity")) == [
        {"Code": "AlreadyAtDesiredCapacity", "CurrentCapacity": 4}
    ]
    recovered = replace(tracking(150.0), points=[150.0, 150.0, 90.0])  # the alarm was set by hand
    assert reasons(STATE, recovered) == [{"Code": "AlreadyAtDesiredCapacity", "CurrentCapacity": 4}]


def test_at_the_minimum_one_instance_with_a_light_load_is_no_flapping() -> None:
    assert reasons(replace(STATE, capacity=1), tracking(80.0)) == [{"Code": "AlreadyAtMinCapacity", "MinCapacity": 1}]


def test_a_step_that_covers_no_breach_does_nothing() -> None:
    assert decide(STATE, [stepping(step(-1, None, 0), metric=60.0)], 0.0) == NOTHING


def test_a_configuration_can_remove_everything_down_to_the_minimum() -> None:
    view = stepping(step(-100, None, 0), metric=10.0, kind="PercentChangeInCapacity")
    assert capacity(replace(STATE, minimum=2), view) == 2


def test_whatever_is_decided_lies_within_the_bounds_and_is_allowed() -> None:
    """Of 2,000 states and policies."""
    dice = random.Random(7)  # noqa: S311 - no secret
    for _ in range(2000):
        minimum, maximum = sorted((dice.randint(0, 12), dice.randint(0, 12)))
        last = went_out(dice.randint(0, 5), dice.randint(0, 9), dice.choice([None, 0.0]), dice.choice([0.0, 300.0]))
        suspended = Suspension(dice.random() < 0.3, dice.random() < 0.3)
        state = ScalingState(dice.randint(minimum, maximum), minimum, maximum, suspended, dice.choice([None, last]))
        views: list[PolicyView] = [tracking(dice.choice([None, 0.0, 50.0, 95.0, 110.0, 900.0])) for _ in range(2)]
        if dice.random() < 0.5:
            kind = dice.choice(["ChangeInCapacity", "PercentChangeInCapacity"])
            views.append(stepping(step(dice.randint(-200, 200), 0), metric=60.0, kind=kind))
        found = decide(state, views, dice.choice([10.0, 1000.0]))
        assert (found == NOTHING) or ((found.capacity is None) == bool(found.not_scaled))
        assert (found.last is None) == (found.capacity is None)
        if found.capacity is None:
            continue
        assert minimum <= found.capacity <= maximum
        assert found.capacity != state.capacity
        assert not (suspended.scaling_out if found.capacity > state.capacity else suspended.scaling_in)
        assert found.last is not None
        assert found.last.is_out == (found.capacity > state.capacity)

"""Runs of a load on a fake endpoint: what is scaled is put back, whatever ends the load."""

from argparse import Namespace
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from infra.errors import StepFailed
from infra.interrupts import Interrupts
from infra.load.load import Loads, chosen_curve
from infra.load.requests import ANSWERED
from infra.terminal import Terminal
from tests.unit.infra.fakes import fake_clients
from tests.unit.infra.load.fakes import COMPRESSED, VARIANT, FakeAws
from tests.unit.infra.photos import quiet


class Answers:
    """A sender that is answered at once."""

    def send(self) -> str:
        return ANSWERED

    def close(self) -> None:
        """Nothing is open."""


class InterruptedTerminal(Terminal):
    """Ctrl-C comes when the table of this number is drawn first."""

    def __init__(self, number: int) -> None:
        super().__init__(quiet().console)
        self.number = number

    @contextmanager
    def live_table(self, header: tuple[str, ...]) -> Iterator[Callable[[list[tuple[str, ...]]], None]]:
        self.number -= 1

        def show(_: list[tuple[str, ...]]) -> None:
            if self.number == 0:
                raise KeyboardInterrupt

        yield show


def options(**changed: Any) -> Namespace:
    values = {
        "curve": None, "rate": None, "seconds": None, "seed": None, "through": "endpoint", "system": None,
        "compare": False, "connections": 4, "timeout": 60.0,
    }  # fmt: skip
    return Namespace(**{**values, **changed})


def loads(aws: FakeAws, terminal: Terminal, **changed: Any) -> Loads:
    return Loads(options(**changed), fake_clients(), aws.services, VARIANT, Answers, Interrupts(), terminal)


def test_without_a_system_nothing_is_changed() -> None:
    aws = FakeAws()
    one = loads(aws, quiet(), rate=200.0, seconds=0.2)
    one.run()
    (run,) = one.runs
    assert (len(run.results), run.ended_s, run.called) == (40, 0.2, "endpoint of dogs")
    assert {result.outcome for result in run.results} == {ANSWERED}
    assert {name for name in aws.autoscaling.names() if not name.startswith("describe")} == set()


def test_a_scaled_endpoint_and_one_as_it_is_get_the_same_load() -> None:
    aws = FakeAws()
    aws.description = COMPRESSED
    one = loads(aws, quiet(), system="D", compare=True, seconds=0.3)
    one.run()
    scaled, without = one.runs
    assert (scaled.title, without.title) == ("scaled as system D", "without scaling")
    assert scaled.curve == without.curve
    assert [result.due_s for result in sorted(scaled.results, key=lambda each: each.due_s)] == [
        result.due_s for result in sorted(without.results, key=lambda each: each.due_s)
    ]
    assert scaled.seen.observations[0].alarms
    assert without.seen.observations[0].alarms == {}
    assert (aws.target, aws.policies) == (None, [])


@pytest.mark.parametrize("number", [1, 2])
def test_after_ctrl_c_there_is_a_run_to_show_and_nothing_stays_scaled(number: int) -> None:
    aws = FakeAws(instances=2)
    one = loads(aws, InterruptedTerminal(number), system="A", compare=True, rate=100.0, seconds=0.2)
    one.run()
    assert one.is_interrupted
    assert len(one.runs) == number
    assert (aws.instances, aws.target, aws.policies) == (2, None, [])


def test_an_alarm_that_does_not_appear_leaves_nothing_scaled(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("infra.load.scaling._ALARM_LIMIT_S", 0.0)
    aws = FakeAws()
    aws.cloudwatch.answers["describe_alarms"] = {"MetricAlarms": []}
    one = loads(aws, quiet(), system="A", seconds=0.2)
    with pytest.raises(StepFailed, match="alarms did not appear"):
        one.run()
    assert (one.runs, aws.target, aws.policies) == ([], None, [])


def test_a_curve_wins_over_the_system_s() -> None:
    assert chosen_curve(options(system="A", curve="step:1,2@3", seconds=9.0)).text == "step:1,2@3"
    assert chosen_curve(options(system="A", rate=7.0)).text == "constant:7"
    assert chosen_curve(options(system="A")).text.startswith("step:")
    assert chosen_curve(options()).text == "constant:5"


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"compare": True}, "nothing to compare"),
        ({"curve": "square:1"}, "is none"),
        ({"rate": -1.0}, "not below 0"),
        ({"seconds": 0.0}, "more than 0 s"),
        ({"system": "A", "seconds": 0.0}, "more than 0 s"),
    ],
)
def test_options_that_cannot_be_meant_are_refused(changed: dict[str, Any], said: str) -> None:
    with pytest.raises(StepFailed, match=said):
        chosen_curve(options(**changed))

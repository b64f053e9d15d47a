"""The quickest experiments of the chaos suite, on a stack of their own: each promise of theirs holds."""

import time
from collections.abc import Iterator

import pytest

from tests.chaos.report import Verdict
from tests.chaos.runner import run_trial
from tests.chaos.stack import ContainerEnvironment, container_environment
from tests.chaos.table import STACK, Experiment

RATE_PER_S = 10.0


@pytest.fixture(scope="module")
def environment() -> Iterator[ContainerEnvironment]:
    with container_environment(RATE_PER_S) as environment:
        yield environment
    assert environment.engine.made(environment.network) == []


@pytest.mark.parametrize("experiment", [one for one in STACK if one.quick], ids=lambda experiment: experiment.name)
def test_the_promise_holds(environment: ContainerEnvironment, experiment: Experiment[ContainerEnvironment]) -> None:
    report = run_trial(experiment, environment, time.monotonic())
    assert report.verdict is Verdict.HELD, [check for check in report.checks if not check.holds]

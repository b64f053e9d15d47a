"""Ctrl-C and other signals at several moments of the demo: it ends soon and leaves nothing."""

import signal
import time
from pathlib import Path

import pytest

from tests.e2e.environment import EPOCHS, Environment, leftovers

MOMENTS = [
    "> Data",
    "> LocalStack",
    "epoch=",
    "> Endpoint",
    "> Clean up",
]
ENDS_WITHIN_S = 45


@pytest.mark.parametrize("moment", MOMENTS)
def test_an_interrupted_demo_leaves_nothing(environment: Environment, tmp_path: Path, moment: str) -> None:
    epochs = EPOCHS if moment == "epoch=" else "--set=epochs=1"  # shorter, for the moments after the training
    with environment.start("demo", epochs) as process:
        assert process.stdout is not None
        for line in process.stdout:
            if moment in line:
                break
        process.send_signal(signal.SIGINT)
        began = time.monotonic()
        process.send_signal(signal.SIGINT)
        rest, _ = process.communicate(timeout=ENDS_WITHIN_S)
    assert process.returncode == 130, rest
    assert "everything was stopped" in rest
    assert time.monotonic() - began < ENDS_WITHIN_S
    assert leftovers(tmp_path) == []
    assert not environment.paths.record.exists()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP, signal.SIGKILL])
def test_a_demo_ended_by_another_signal_leaves_nothing(
    environment: Environment, tmp_path: Path, number: signal.Signals
) -> None:
    with environment.start("demo", EPOCHS) as process:
        assert process.stdout is not None
        for line in process.stdout:
            if "epoch=" in line:
                break
        process.send_signal(number)
        process.communicate(timeout=ENDS_WITHIN_S)
    deadline = time.monotonic() + ENDS_WITHIN_S
    while left := leftovers(tmp_path):
        assert time.monotonic() < deadline, left
        time.sleep(0.05)

"""Ctrl-C at several moments of the demo: each time nothing is left, and soon."""

import signal
import time
from pathlib import Path

import pytest

from tests.e2e.conftest import EPOCHS, Place, leftovers

MOMENTS = [
    "> Data",
    "> LocalStack",
    "epoch=",
    "> Endpoint",
    "> Clean up",
]
ENDS_WITHIN_S = 45


@pytest.mark.parametrize("moment", MOMENTS)
def test_nothing_is_left(place: Place, tmp_path: Path, moment: str) -> None:
    epochs = EPOCHS if moment == "epoch=" else "--set=epochs=1"  # for what comes after the training
    with place.start("demo", epochs) as process:
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
    assert not place.where.record.exists()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP, signal.SIGKILL])
def test_nor_by_other_signals(place: Place, tmp_path: Path, number: signal.Signals) -> None:
    with place.start("demo", EPOCHS) as process:
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

"""What is said of the hardware that containers got."""

import pytest

from stagemaker.runtime.hardware import HardwareLog, sentence


@pytest.mark.parametrize(
    ("hardware", "expected"),
    [
        ({"algo-1": "CPU"}, "Runs on CPU."),
        ({"algo-1": "1 GPU.", "algo-2": "1 GPU"}, "Runs on 1 GPU."),
        ({"algo-1": "1 GPU", "algo-2": "CPU"}, "algo-1 runs on 1 GPU; algo-2 runs on CPU."),
    ],
)
def test_one_sentence_for_all(hardware: dict[str, str], expected: str) -> None:
    assert sentence(hardware) == expected


def test_the_hardware_comes_first_though_it_is_known_last() -> None:
    lines: list[str] = []
    log = HardwareLog("algo-1", lines.append)
    log.line("one")
    log.line("two")
    assert lines == []
    log.begin("1 GPU")
    log.line("three")
    assert lines == ["Stagemaker: algo-1 runs on 1 GPU", "one", "two", "three"]

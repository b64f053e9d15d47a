"""A function's log: AWS's lines, and no flood that CloudWatch Logs would refuse."""

from stagemaker.functions.log import (
    ALL_LINES,
    LATER_LINES,
    MAX_LINES,
    FunctionLog,
    end_line,
    report_line,
    start_line,
    timeout_line,
)


def test_the_lines_of_aws() -> None:
    assert start_line("id", "$LATEST") == "START RequestId: id Version: $LATEST"
    assert end_line("id") == "END RequestId: id"
    assert report_line("id", 0.0123, 128, 40, None, "") == (
        "REPORT RequestId: id\tDuration: 12.30 ms\tBilled Duration: 13 ms\t"
        "Memory Size: 128 MB\tMax Memory Used: 40 MB\t"
    )
    assert report_line("id", 3, 128, 40, 0.2, "Status: timeout").endswith(
        "\tMax Memory Used: 40 MB\tInit Duration: 200.00 ms\tStatus: timeout\t"
    )
    assert timeout_line("id", 3, 1_700_000_000.25) == "2023-11-14T22:13:20.250Z id Task timed out after 3.00 seconds"


def test_lines_are_taken_once_and_stack_traces_are_cut() -> None:
    log = FunctionLog()
    log.add("a")
    log.add("[ERROR] x\rTraceback")
    assert log.take() == "a\n[ERROR] x\nTraceback\n"
    assert log.take() == ""


def test_a_flood_is_bounded_and_said() -> None:
    log = FunctionLog()
    for number in range(MAX_LINES + 5):
        log.add(str(number))
    log.add_always("END")
    lines = log.take().splitlines()
    assert lines[MAX_LINES - 1 :] == [
        str(MAX_LINES - 1),
        "[5 lines were left out: too much output for one invocation]",
        "END",
    ]
    log.add("x" * 1_000_000)
    log.add_always("END")
    assert log.take().startswith("[1 lines were left out")


def test_an_environment_that_wrote_very_much_gets_fewer_lines_an_invocation() -> None:
    log = FunctionLog()
    for _ in range(ALL_LINES // MAX_LINES + 1):
        for _ in range(MAX_LINES):
            log.add("line")
        log.add_always("END")
        log.take()
    for _ in range(LATER_LINES + 7):
        log.add("line")
    log.add_always("END")
    *lines, told, end = log.take().splitlines()
    assert lines == ["line"] * LATER_LINES
    assert told.startswith("[7 lines were left out")
    assert end == "END"

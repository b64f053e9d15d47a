from io import StringIO

import pytest
from rich.console import Console

from infra.errors import StepFailed
from infra.terminal import Terminal
from tests.unit.infra.photos import quiet, text_of


def test_steps_and_their_times() -> None:
    terminal = quiet()
    with terminal.step("One [b]") as done:
        done.result = "created: x"
    with terminal.step("Two"):
        pass
    terminal.summary()
    text = text_of(terminal)
    assert "One [b]" in text
    assert "created: x" in text
    assert "Total" in text


def test_a_step_that_fails_is_not_done() -> None:
    terminal = quiet()
    with pytest.raises(StepFailed), terminal.step("One"):
        raise StepFailed("It broke.", "Mend it.")
    assert terminal.steps == []


def test_a_failure_says_why_and_what_next() -> None:
    terminal = quiet()
    terminal.failure(StepFailed("It [broke].", "Mend it.", ("a line", "[red]another")))
    lines = text_of(terminal).splitlines()
    assert [line.strip() for line in lines] == ["| a line", "| [red]another", "Failed: It [broke].", "Next: Mend it."]


def test_bars_count() -> None:
    terminal = quiet()
    with terminal.bar("bar", 3) as advance:
        advance(3)
    with terminal.transfer("transfer", 1000) as advance:
        advance(1000)


def test_a_live_table_is_printed_once_where_there_is_no_terminal() -> None:
    terminal = quiet()
    with terminal.live_table(("Job", "State")) as show:
        show([("1", "InProgress")])
        show([("1", "Completed"), ("2", "[x]")])
    text = text_of(terminal)
    assert "InProgress" not in text
    assert text.count("Job") == 1
    assert "[x]" in text


def test_a_live_table_is_printed_also_when_it_is_interrupted() -> None:
    terminal = quiet()

    def show_and_end() -> None:
        with terminal.live_table(("Job", "State")) as show:
            show([("1", "InProgress")])
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        show_and_end()
    assert "InProgress" in text_of(terminal)


def test_a_live_table_is_drawn_anew_on_a_terminal() -> None:
    terminal = Terminal(Console(file=StringIO(), force_terminal=True, width=80))
    with terminal.live_table(("Job", "State")) as show:
        show([("1", "InProgress")])
        show([("1", "Completed")])
    text = text_of(terminal)
    assert "InProgress" in text
    assert "Completed" in text

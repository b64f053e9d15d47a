"""The output of a starting notebook instance, taken apart."""

import pytest

from stagemaker.notebooks.boot import HOOKS, BootLog, boot_command

MARK = "0123abcd"


class Boot:
    """A BootLog under a clock that the test moves."""

    def __init__(self) -> None:
        self.now_s = 100.0
        self.lines: list[tuple[str, str]] = []
        sinks = {name: lambda line, name=name: self.lines.append((name, line)) for name in (*HOOKS, "")}
        self.log = BootLog(MARK, sinks, lambda: self.now_s)

    def hear(self, *lines: str) -> None:
        for line in lines:
            self.log.line(line)


@pytest.fixture
def boot() -> Boot:
    return Boot()


def test_each_script_has_a_stream_and_jupyterlab_has_the_rest(boot: Boot) -> None:
    boot.hear(f"{MARK} begin OnCreate", "made", "", "still", "", f"{MARK} end OnCreate 0")
    boot.hear(f"{MARK} begin OnStart", "started", "", f"{MARK} end OnStart 0")
    served_before = boot.log.serving
    boot.hear(f"{MARK} serve", "Jupyter is here", "")
    assert boot.lines == [
        ("OnCreate", "made"), ("OnCreate", ""), ("OnCreate", "still"), ("OnStart", "started"),
        ("", "Jupyter is here"), ("", ""),
    ]  # fmt: skip
    assert (served_before, boot.log.serving) == (False, True)
    assert boot.log.failed is None


def test_a_script_that_fails_is_named_with_its_exit_code(boot: Boot) -> None:
    boot.hear(f"{MARK} begin OnStart", "no such thing", "", f"{MARK} end OnStart 7")
    assert boot.log.failed == ("OnStart", 7)
    assert not boot.log.serving


def test_a_script_is_overdue_after_its_time_and_not_when_it_has_ended(boot: Boot) -> None:
    assert boot.log.overdue(300) == ""
    boot.hear(f"{MARK} begin OnStart")
    boot.now_s += 300
    assert boot.log.overdue(300) == ""
    boot.now_s += 1
    assert boot.log.overdue(300) == "OnStart"
    boot.hear(f"{MARK} end OnStart 0")
    assert boot.log.overdue(300) == ""


def test_a_line_without_the_mark_changes_nothing(boot: Boot) -> None:
    boot.hear("ffff serve", "ffff end OnStart 1", "serve")
    assert not boot.log.serving
    assert boot.log.failed is None


def test_the_command_names_mark_scripts_and_program() -> None:
    assert boot_command(MARK, ["OnStart"])[3:] == ("boot", MARK, "OnStart", "--", "start-notebook")

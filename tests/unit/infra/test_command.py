"""How commands end, and what they say then."""

import io
import os
import signal
from pathlib import Path

import pytest
from botocore.exceptions import ClientError, NoCredentialsError, ProxyConnectionError
from rich.console import Console

from infra import command
from infra.cli import main
from infra.errors import StepFailed
from infra.interrupts import Interrupts
from infra.terminal import Terminal


def ended(error: BaseException | None) -> tuple[int, str]:
    """The exit code and what was said of an action that raises this."""

    def action(_: Interrupts) -> None:
        if error:
            raise error

    said = io.StringIO()
    code = command.run(action, Terminal(Console(file=said, width=200)), next_step="Do that.", interrupted="Bye.")
    return code, said.getvalue()


def test_done() -> None:
    assert ended(None) == (0, "")


def test_a_step_failed() -> None:
    assert ended(StepFailed("Why.", "Do this.", ("a line",))) == (1, "  | a line\nFailed: Why.\nNext: Do this.\n")


@pytest.mark.parametrize(
    "error", [ProxyConnectionError(proxy_url="p", error="e"), ClientError({"Error": {"Code": "X"}}, "Y")]
)
def test_aws_failed(error: Exception) -> None:
    assert ended(error) == (1, f"Failed: {error}\nNext: Do that.\n")


def test_several_steps_failed() -> None:
    failures = [StepFailed("Why.", "Do this."), NoCredentialsError()]
    assert ended(ExceptionGroup("several", failures)) == (
        1,
        "Failed: Why.\nNext: Do this.\n"
        "Failed: No AWS credentials were found.\n"
        "Next: Log in: aws sso login, aws login, or aws configure. Then name the profile: AWS_PROFILE=...\n",
    )


def test_what_stops_all_steps_is_told_once() -> None:
    expired = [
        ClientError({"Error": {"Code": code, "Message": "The token has expired."}}, "Y")
        for code in ("ExpiredTokenException", "ExpiredToken", "RequestExpired")
    ]
    other = ClientError({"Error": {"Code": "X"}}, "Y")
    code, said = ended(ExceptionGroup("several", [other, *expired, other]))
    assert code == 1
    assert said.count("The AWS credentials have expired (ExpiredTokenException: The token has expired).") == 1
    assert said.count("have expired") == 1
    assert said.count(f"Failed: {other}") == 2


def test_what_is_our_fault_is_not_hidden() -> None:
    with pytest.raises(ZeroDivisionError):
        ended(ZeroDivisionError())
    with pytest.raises(ExceptionGroup) as caught:
        ended(ExceptionGroup("several", [StepFailed("Why.", "Do this."), ZeroDivisionError()]))
    assert [type(error) for error in caught.value.exceptions] == [ZeroDivisionError]


def test_a_signal_ends_it() -> None:
    said = io.StringIO()
    terminal = Terminal(Console(file=said, width=200))
    code = command.run(
        lambda _: os.kill(os.getpid(), signal.SIGINT), terminal, next_step="Do that.", interrupted="Bye."
    )
    assert (code, said.getvalue()) == (130, "  Bye.\n")


@pytest.mark.parametrize(
    ("name", "content", "reason"),
    [
        (None, b"", "No photo was named."),
        ("missing.png", None, "There is no file"),
        ("note.txt", b"text", "is no photo."),
        ("empty.png", b"", "has 0 bytes"),
        ("large.jpg", bytes(6_291_457), "has 6,291,457 bytes"),
    ],
)
def test_invoke_says_what_is_wrong_with_the_file(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch,
    name: str | None, content: bytes | None, reason: str,
) -> None:  # fmt: skip
    monkeypatch.delenv("IMAGE", raising=False)
    monkeypatch.setenv("COLUMNS", "200")
    if name and content is not None:
        (tmp_path / name).write_bytes(content)
    assert main(["invoke", *([str(tmp_path / name)] if name else [])]) == 1
    said = capsys.readouterr().out
    assert reason in said
    assert "Next: make invoke IMAGE=" in said


@pytest.mark.parametrize("variable", ["PORT", "REGISTRY_PORT"])
def test_up_looks_at_the_ports_before_it_builds(
    variable: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    monkeypatch.setenv(variable, "abc")
    monkeypatch.setenv("STAGEMAKER_STATE", str(tmp_path))
    monkeypatch.setenv("PATH", str(tmp_path))
    assert main(["start", "--docker"]) == 1
    assert f"Failed: {variable}=abc is not a port" in capsys.readouterr().out


@pytest.mark.parametrize("arguments", [["start", "--docker"], ["logs"]])
def test_without_docker_one_sentence_says_so(
    arguments: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    monkeypatch.setenv("STAGEMAKER_STATE", str(tmp_path))
    monkeypatch.setenv("PATH", str(tmp_path))
    assert main(arguments) == 1
    assert "Failed: The command `docker` was not found." in capsys.readouterr().out

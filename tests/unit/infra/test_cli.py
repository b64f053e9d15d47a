"""The command line: every verb has help and something to do, and help is quick."""

import subprocess
import sys
from argparse import Namespace

import pytest

from infra import bootstrap, cli, verbs
from infra.paths import CHECKOUT


def test_every_verb_does_something() -> None:
    assert [verb.name for verb in cli.VERBS] == list(verbs.RUN)


@pytest.mark.parametrize("verb", cli.VERBS, ids=lambda verb: verb.name)
def test_every_verb_has_help_of_one_sentence(verb: cli.Verb, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        cli.main([verb.name, "--help"])
    assert ended.value.code == 0
    said = " ".join(capsys.readouterr().out.split())
    assert f"{verb.summary[0].upper()}{verb.summary[1:]}." in said
    assert ". " not in verb.summary


@pytest.mark.parametrize("verb", cli.VERBS, ids=lambda verb: str(verb.name))
def test_every_verb_runs_with_the_options_that_it_has(verb: cli.Verb, monkeypatch: pytest.MonkeyPatch) -> None:
    ran: list[verbs.Call] = []
    monkeypatch.setitem(verbs.RUN, verb.name, ran.append)
    assert cli.main([verb.name, *(["check", "."] if verb.name == "data" else [])]) == 0
    assert len(ran) == 1


def test_help_imports_neither_boto3_nor_rich() -> None:
    look = "print(sorted({'boto3', 'botocore', 'rich'} & set(sys.modules)))"
    code = f"import sys\nfrom infra.cli import main\ntry:\n    main(['--help'])\nexcept SystemExit:\n    {look}"
    done = subprocess.run([sys.executable, "-c", code], cwd=CHECKOUT, capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "[]"


def refused(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    """What is said about arguments that are none."""
    with pytest.raises(SystemExit) as ended:
        cli.main(list(arguments))
    assert ended.value.code == 2
    said = capsys.readouterr()
    return said.out + said.err


def test_without_a_verb_all_are_listed(capsys: pytest.CaptureFixture[str]) -> None:
    assert "rehearse" in refused(capsys)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["frobnicate"], "'frobnicate'"),
        (["plan", "--target", "aw"], "argument --target: invalid choice: 'aw'"),
        (["deploy", "--presett", "a"], "unrecognized arguments: --presett a"),
    ],
)
def test_wrong_arguments_are_refused_in_two_lines(
    arguments: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    first, second = refused(capsys, *arguments).splitlines()
    assert first.startswith("Failed: ")
    assert said in first
    assert second.startswith("Next: `python -m infra")
    assert "--help" in second


@pytest.mark.parametrize(
    ("verb", "variable", "value"), [("load", "SYSTEM", "Z"), ("load", "THROUGH", "tunnel"), ("policy", "FORM", "yaml")]
)
def test_a_wrong_choice_of_the_environment_is_refused(
    verb: str, variable: str, value: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(variable, value)
    assert f"'{value}' is none of " in refused(capsys, verb)


def test_a_system_may_be_named_in_small_letters(monkeypatch: pytest.MonkeyPatch) -> None:
    ran: list[verbs.Call] = []
    for verb in ("load", "deploy"):
        monkeypatch.setitem(verbs.RUN, verb, ran.append)
        assert cli.main([verb, "--system", "b"]) == 0
    monkeypatch.setenv("SYSTEM", "target-1500")
    assert cli.main(["load"]) == 0
    assert [call.options.system for call in ran] == ["B", "B", "target-1500"]


@pytest.mark.parametrize("verb", ["plan", "deploy", "train", "tune", "demo", "rehearse"])
def test_a_misspelt_hyperparameter_is_refused_before_anything_is_asked(
    verb: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:1")
    assert cli.main([verb, "--preset", "c", "--set", "epoch=5"]) == 1
    assert "did you mean 'epochs'?" in capsys.readouterr().out


def test_a_port_that_is_none_is_named(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AWS_ENDPOINT_URL", raising=False)
    monkeypatch.setenv("PORT", "many")
    assert cli.main(["destroy"]) == 1
    assert "PORT=many is not a port" in capsys.readouterr().out


@pytest.mark.parametrize("verb", ["plan", "deploy", "train", "tune", "destroy", "status"])
def test_every_verb_that_reaches_aws_refuses_another_address(
    verb: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:1")
    assert cli.main([verb, "--target", "aws"]) == 1
    assert "The target is aws, but AWS_ENDPOINT_URL is set" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("words", "arguments"),
    [
        ([], ["deploy"]),
        (["up"], ["deploy"]),
        (["--system", "B"], ["deploy", "--system", "B"]),
        (["train", "--set=epochs=1"], ["train", "--set=epochs=1"]),
        (["down", "--target", "local"], ["destroy", "--target", "local"]),
    ],
)
def test_bootstrap_is_another_name_for_the_verbs(words: list[str], arguments: list[str]) -> None:
    assert bootstrap.arguments_of(words) == arguments


@pytest.mark.parametrize(
    ("arguments", "endpoint", "function"),
    [
        ([], "stagemaker-demo", "stagemaker-demo-proxy"),
        (["--preset", "a"], "dogs-a-single", "dogs-a-proxy"),
        (["--preset", "a", "--endpoint", "dogs-a-multi"], "dogs-a-multi", "dogs-a-multi-proxy"),
        (["--project", "cats"], "cats", "cats-proxy"),
    ],
)
def test_the_endpoint_that_is_called_follows_from_the_preset(
    arguments: list[str], endpoint: str, function: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    from infra.load import load  # here, since it imports matplotlib

    asked: list[Namespace] = []
    monkeypatch.setattr(load, "run", lambda options, *_: asked.append(options))
    assert cli.main(["load", *arguments]) == 0
    (found,) = asked
    assert (found.endpoint, found.function, found.region) == (endpoint, function, "us-east-1")

import socket
from pathlib import Path

import pytest

from infra.clients import chosen_port
from infra.errors import StepFailed
from infra.hosts.process import ProcessHost, environment
from infra.paths import paths


def test_localstack_gets_nothing_of_the_users_environment(tmp_path: Path) -> None:
    inherited = {"AWS_ACCESS_KEY_ID": "AKIAREAL", "HTTPS_PROXY": "http://x", "PATH": "/bin", "DEBUG": "1", "HOME": "/h"}
    found = environment(paths({}, tmp_path), 4600, inherited)
    assert found["PATH"] == "/bin"
    assert "AKIAREAL" not in found.values()
    assert not {"HTTPS_PROXY", "DEBUG"} & found.keys()
    assert found["GATEWAY_LISTEN"] == "127.0.0.1:4600"


def test_localstack_gets_the_settings_of_who_may_call(tmp_path: Path) -> None:
    settings = {"EXTRA_CORS_ALLOWED_ORIGINS": "http://localhost:3000", "STAGEMAKER_HOSTS": "dev.example.com"}
    assert settings.items() <= environment(paths({}, tmp_path), 4600, settings | {"DISABLE_CORS_CHECKS": "1"}).items()
    assert "DISABLE_CORS_CHECKS" not in environment(paths({}, tmp_path), 4600, {"DISABLE_CORS_CHECKS": "1"})


@pytest.mark.parametrize(
    ("given", "mode"), [({}, "strict"), ({"STAGEMAKER_IAM": ""}, "strict"), ({"STAGEMAKER_IAM": "off"}, "off")]
)
def test_it_enforces_iam_unless_it_is_told_not_to(tmp_path: Path, given: dict[str, str], mode: str) -> None:
    assert environment(paths({}, tmp_path), 4600, given)["STAGEMAKER_IAM"] == mode


def test_all_its_files_are_in_the_state_folder(tmp_path: Path) -> None:
    where = paths({}, tmp_path)
    found = environment(where, 4600, {})
    assert where.state == tmp_path / ".stagemaker" / "state"
    for name in ("HOME", "TEMP", "XDG_CACHE_HOME", "FILESYSTEM_ROOT"):
        assert Path(found[name]).is_relative_to(where.state)


def test_the_state_folder_can_be_moved(tmp_path: Path) -> None:
    assert paths({"STAGEMAKER_STATE": str(tmp_path)}).state == tmp_path


@pytest.mark.parametrize(("environ", "port"), [({}, 4566), ({"PORT": ""}, 4566), ({"PORT": "4600"}, 4600)])
def test_the_port(environ: dict[str, str], port: int) -> None:
    assert chosen_port(environ) == port


@pytest.mark.parametrize("text", ["0", "80", "65536", "http", "-1", "4566.0"])
def test_bad_ports(text: str) -> None:
    with pytest.raises(StepFailed, match="not a port"):
        chosen_port({"PORT": text})


def test_a_port_that_is_taken(tmp_path: Path) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        with pytest.raises(StepFailed, match="is taken") as caught:
            ProcessHost(paths({}, tmp_path), {}).start(other.getsockname()[1], stays=False)
    assert "PORT=" in caught.value.next_step


def test_no_environment(tmp_path: Path) -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    with pytest.raises(StepFailed, match="is missing") as caught:
        ProcessHost(paths({}, tmp_path), {}).start(port, stays=False)
    assert "make setup" in caught.value.next_step


def test_a_stack_that_ends_at_once_shows_its_log(tmp_path: Path) -> None:
    where = paths({}, tmp_path)
    python = where.environments / "plugin" / "bin" / "python"
    python.parent.mkdir(parents=True)
    python.write_text("#!/bin/sh\necho something is broken\nexec sleep 0.2\n")
    python.chmod(0o755)
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    with pytest.raises(StepFailed, match="ended") as caught:
        ProcessHost(where, {}).start(port, stays=False)
    assert caught.value.evidence == ("something is broken",)
    assert ProcessHost(where, {}).status() is None


@pytest.mark.parametrize("text", ["", "{}", "[]", '{"pid": 1}', '{"pid": 999999999, "started": 1, "port": 1}'])
def test_a_record_of_nothing(tmp_path: Path, text: str) -> None:
    where = paths({}, tmp_path)
    where.record.parent.mkdir(parents=True)
    where.record.write_text(text)
    assert ProcessHost(where, {}).status() is None
    assert ProcessHost(where, {}).stop() is False
    assert not where.record.exists()

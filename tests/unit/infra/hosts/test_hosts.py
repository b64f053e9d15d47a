"""What the hosts have in common, and what they say where nothing runs."""

from pathlib import Path

import pytest

from infra import hosts
from infra.errors import StepFailed
from infra.hosts.compose import ComposeHost
from infra.hosts.host import RunningStack, locked
from infra.hosts.process import ProcessHost


def test_the_one_function_chooses(tmp_path: Path) -> None:
    environ = {"STAGEMAKER_STATE": str(tmp_path), "STAGEMAKER_PROJECT": "mine"}
    processes, containers = (hosts.choose(docker=docker, environ=environ) for docker in (False, True))
    assert isinstance(processes, ProcessHost)
    assert isinstance(containers, ComposeHost)
    assert (processes.paths.state, containers.project) == (tmp_path, "mine")
    assert (processes.images, containers.images) == ((), ("localstack",))
    assert (processes.stop_command, containers.stop_command) == ("make stop", "STAGEMAKER_PROJECT=mine make down")


@pytest.mark.parametrize("docker", [False, True])
def test_nothing_runs_also_without_docker(docker: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    host = hosts.choose(docker=docker, environ={"STAGEMAKER_STATE": str(tmp_path)})
    assert host.status() is None
    assert host.stop() is False


def test_what_to_type_in_another_shell() -> None:
    assert RunningStack("container 1", 4600).how_to_talk().splitlines() == [
        "export AWS_ENDPOINT_URL=http://127.0.0.1:4600 AWS_DEFAULT_REGION=us-east-1",
        "export AWS_ACCESS_KEY_ID=test AWS_SECRET_ACCESS_KEY=test",
    ]


def test_one_start_at_a_time(tmp_path: Path) -> None:
    lock, refused = tmp_path / "state" / "lock", "Another command is starting the stack"
    with locked(lock), pytest.raises(StepFailed, match=refused), locked(lock):
        pass
    with locked(lock):
        pass

"""The scripts of the notebook instance really run here, on a machine of small shell scripts."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from infra.blueprint import Blueprint
from infra.notebook import lifecycle
from infra.notebook.lifecycle import MAX_CHARACTERS, lifecycle_request
from infra.notebook.settings import NotebookSettings
from infra.settings import DeploymentSettings
from tests.unit.infra.aws_shapes import check
from tests.unit.infra.notebook.notebook_machine import BLUEPRINT, NotebookMachine, processes_of, script_of

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="a notebook instance is a Linux machine")
NEVER = NotebookSettings(idle_minutes=0)
LONGEST = Blueprint(DeploymentSettings(project="a" * 20, region="ap-northeast-1"), "123456789012", "cd" * 32)


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    """Nothing that runs on the machine outlives the test."""
    yield tmp_path
    for pid in processes_of(tmp_path):
        os.kill(pid, signal.SIGKILL)


@pytest.mark.parametrize("blueprint", [BLUEPRINT, LONGEST])
def test_aws_takes_the_scripts(blueprint: Blueprint) -> None:
    settings = NotebookSettings(repository="https://example.com/" + "a" * 400, commit="b" * 100)
    request = lifecycle_request(blueprint, settings)
    check("sagemaker", "CreateNotebookInstanceLifecycleConfig", request)
    for hook in ("OnCreate", "OnStart"):
        (one,) = request[hook]
        assert len(one["Content"]) <= MAX_CHARACTERS / 2, "room for more"
        assert script_of(one["Content"]).startswith("#!/bin/bash\n")


def test_a_script_that_is_too_long_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lifecycle, "MAX_CHARACTERS", 100)
    with pytest.raises(ValueError, match=r"OnCreate has [\d,]+ characters in base64, and AWS takes 100"):
        lifecycle_request(BLUEPRINT, NEVER)


def test_the_scripts_have_no_fault_that_shellcheck_knows(tmp_path: Path) -> None:
    program, install = Path(sys.executable).parent / "shellcheck", (lifecycle.FOLDER / "install.sh").read_text()
    for hook, text in (
        ("OnCreate", lifecycle.on_create(BLUEPRINT, NEVER)),
        ("OnStart", lifecycle.on_start(BLUEPRINT, NEVER)),
        ("install", f"#!/bin/bash\nVOLUME=/v\nCONDA=/c\nKERNEL=k\n{install}"),
    ):
        path = tmp_path / hook
        path.write_text(text)
        done = subprocess.run(
            [program, "--exclude", "SC2016,SC2034", path], capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stdout


def test_the_notebook_and_its_packages_come_from_the_bucket(folder: Path) -> None:
    machine = NotebookMachine(folder, NEVER)
    done = machine.create()
    assert (done.returncode, done.stderr) == (0, "")
    notebook = json.loads((machine.volume / "stagemaker" / "train_and_deploy.ipynb").read_text())
    assert notebook["metadata"]["kernelspec"]["name"] == "stagemaker"
    assert len(notebook["cells"]) > 10
    assert (machine.volume / "stagemaker" / "requirements.txt").read_text() == "a==1 --hash=sha256:00\n"
    assert machine.calls == [f"chown -R ec2-user:ec2-user {machine.volume}"]


def test_a_repository_is_cloned_at_its_commit(folder: Path) -> None:
    settings = NotebookSettings(repository="https://example.com/team/dogs.git", commit="v1")
    machine = NotebookMachine(folder, settings)
    assert machine.create().returncode == 0
    clone = machine.volume / "dogs"
    assert machine.calls[:2] == [
        f"git clone --quiet https://example.com/team/dogs.git {clone}",
        f"git -C {clone} checkout --quiet v1",
    ]


def test_a_repository_that_cannot_be_cloned_fails_the_instance_with_gits_reason(folder: Path) -> None:
    machine = NotebookMachine(folder, NotebookSettings(repository="https://example.com/none"))
    machine.put("refuse-git")
    done = machine.create()
    assert done.returncode == 128
    assert "no such repository" in done.stderr


def test_an_instance_without_boto3_says_so(folder: Path) -> None:
    machine = NotebookMachine(folder, NEVER)
    (folder / "modules" / "boto3.py").write_text("raise ImportError\n")
    done = machine.create()
    assert done.returncode != 0
    assert done.stderr == "No Python of this instance has boto3.\n"


def test_packages_that_the_image_has_are_not_installed_again(folder: Path) -> None:
    machine = NotebookMachine(folder, NEVER, packages=True)
    assert machine.start().returncode == 0
    kernel = machine.kernel()
    assert kernel["argv"][0] == str(folder / "bin" / "python3")
    assert kernel["env"]["PROJECT"] == "dogs-nb"
    assert kernel["env"]["ROLE_ARN"] == "arn:aws:iam::123456789012:role/dogs-notebook-us-east-1"
    assert machine.calls == ["sudo -H -u ec2-user"]


def test_packages_are_installed_by_hash_once_and_stay_over_a_stop(folder: Path) -> None:
    machine = NotebookMachine(folder, NEVER)
    machine.create()
    machine.start()
    environment = machine.volume / ".stagemaker" / "env"
    assert machine.kernel()["argv"][0] == str(environment / "bin" / "python")
    requirements = machine.volume / "stagemaker" / "requirements.txt"
    installed = [
        f"python3.13 -m venv {environment}",
        f"pip install --quiet --require-hashes --requirement {requirements}",
    ]
    assert machine.calls[-2:] == installed
    machine.kernel_file.unlink()  # a stop takes the home folder
    machine.start()
    machine.until(machine.kernel_file.exists)
    assert [call for call in machine.calls if call.startswith(("pip", "python3.13"))] == installed


def test_a_package_of_another_hash_makes_no_kernel(folder: Path) -> None:
    machine = NotebookMachine(folder, NEVER)
    machine.create()
    machine.put("refuse-pip")
    assert machine.start().returncode == 0  # the instance comes into service, and the log says why
    machine.until(lambda: "a hash is another" in machine.install_log)
    machine.until(lambda: not processes_of(folder))
    assert not machine.kernel_file.exists()


def test_only_with_a_time_does_the_instance_watch_whether_it_is_used(folder: Path) -> None:
    machine = NotebookMachine(folder, NotebookSettings(idle_minutes=5), packages=True)
    machine.start()
    machine.kernel()

    def watching() -> list[int]:
        return [pid for pid, command in processes_of(folder).items() if command.endswith(b"\x00300\x00")]

    machine.until(lambda: len(watching()) == 1)
    os.kill(watching()[0], signal.SIGKILL)
    machine.until(lambda: not processes_of(folder))
    machine.settings = NEVER
    machine.start()
    machine.until(lambda: not processes_of(folder))

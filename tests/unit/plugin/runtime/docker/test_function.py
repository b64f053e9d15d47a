"""What a container of a function has beyond others."""

from typing import Any

import pytest

from stagemaker.runtime.docker.function import function_config, peak_memory_bytes

CONFIG: dict[str, Any] = {
    "Image": "i", "Cmd": [], "Env": ["A=1"], "Labels": {"com.stagemaker": "1"},
    "HostConfig": {"Memory": 5, "CapAdd": ["CHOWN"], "Mounts": [{"Target": "/var/task"}]},
}  # fmt: skip


def test_it_has_no_rights_and_writes_only_in_tmp() -> None:
    config = function_config(CONFIG, {"Config": {"User": "root", "Cmd": ["own"]}})
    host = config["HostConfig"]
    assert (config["User"], config["Tty"], config["OpenStdin"]) == ("993:990", True, True)
    assert (host["ReadonlyRootfs"], host["CapDrop"], host["Memory"]) == (True, ["ALL"], 5)
    assert host["CapAdd"] == []
    assert [mount["Target"] for mount in host["Mounts"]] == ["/var/task", "/tmp"]
    assert host["Mounts"][1]["VolumeOptions"]["Labels"] == {"com.stagemaker": "1"}
    assert config["Env"] == ["A=1", "TERM=dumb"]


@pytest.mark.parametrize(
    ("command", "image", "expected"),
    [(["a"], ["own"], ["a"]), ([], ["own"], ["own"]), ([], None, [])],
)
def test_the_image_keeps_its_command(command: list[str], image: list[str] | None, expected: list[str]) -> None:
    assert function_config({**CONFIG, "Cmd": command}, {"Config": {"Cmd": image}})["Cmd"] == expected


def test_a_terminal_of_its_own_choice() -> None:
    assert function_config({**CONFIG, "Env": ["TERM=vt100"]}, {})["Env"] == ["TERM=vt100"]


@pytest.mark.parametrize(
    ("stats", "expected"),
    [
        ({"memory_stats": {"max_usage": 7, "usage": 3}}, 7),
        ({"memory_stats": {"usage": 9, "stats": {"inactive_file": 2}}}, 7),
        ({"memory_stats": {}}, 0),
        ({}, 0),
    ],
)
def test_the_memory_that_it_used(stats: dict[str, Any], expected: int) -> None:
    assert peak_memory_bytes(stats) == expected

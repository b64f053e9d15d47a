"""The commands that are printed for a user have the settings in use."""

import pytest

from infra.typed import make, with_settings

SETTINGS = {"DOCKER": "1", "PORT": "4600", "REGISTRY_PORT": "5050", "STAGEMAKER_PROJECT": "mine"}


@pytest.mark.parametrize(
    ("target", "command"),
    [
        ("demo", "DOCKER=1 STAGEMAKER_PROJECT=mine PORT=4600 REGISTRY_PORT=5050 make demo"),
        ("up", "STAGEMAKER_PROJECT=mine PORT=4600 REGISTRY_PORT=5050 make up"),
        ("start", "PORT=4600 make start"),
        ("down", "STAGEMAKER_PROJECT=mine make down"),
        ("status", "STAGEMAKER_PROJECT=mine make status"),
        ("invoke", "PORT=4600 make invoke"),
        ("stop", "make stop"),
    ],
)
def test_a_command_names_the_settings_that_it_needs(target: str, command: str) -> None:
    assert make(target, SETTINGS) == command
    assert make(target, {"PORT": ""}) == f"make {target}"


def test_any_command() -> None:
    assert with_settings("docker compose ps", "PORT", environ=SETTINGS) == "PORT=4600 docker compose ps"

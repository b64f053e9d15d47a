"""User data: values that a shell reads as they are, in a script that AWS takes."""

import re
from dataclasses import replace

import pytest

from infra import presets
from infra.blueprint import Blueprint, Image
from infra.ec2.requests import run_of
from infra.ec2.user_data import MAX_BYTES, user_data
from tests.unit.infra.ec2.host_machine import RUN


def test_it_is_a_script_with_the_values_first() -> None:
    lines = user_data(RUN).splitlines()
    assert lines[0] == "#!/bin/bash"
    assert lines[1] == "RUN=demo-0123456789"
    assert f"IMAGE={RUN.image}" in lines
    assert "COMMAND=train" in lines
    assert "CHANNELS='train=s3://bucket/data/train/ valid=s3://bucket/data/valid/'" in lines


def test_a_value_is_no_program() -> None:
    text = user_data(replace(RUN, hyperparameters={"a": "'; shutdown -h now; '$(reboot)"}))
    (line,) = [line for line in text.splitlines() if line.startswith("HYPERPARAMETERS=")]
    assert line == """HYPERPARAMETERS='{"a": "'"'"'; shutdown -h now; '"'"'$(reboot)"}'"""


def test_it_has_the_size_that_aws_takes() -> None:
    assert len(user_data(RUN).encode()) < MAX_BYTES
    with pytest.raises(ValueError, match="and AWS takes 16,384"):
        user_data(replace(RUN, hyperparameters={f"name-{number}": "x" * 100 for number in range(100)}))


@pytest.mark.parametrize("preset", ["a", "b", "c", "d", "e"])
def test_that_of_every_system_fits_with_room_and_holds_no_secret(preset: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"):
        monkeypatch.setenv(name, f"the-{name}")
    settings = presets.read(presets.find(preset))
    assert settings.ec2 is not None
    blueprint = Blueprint(settings, "123456789012", "ab" * 32)
    text = user_data(run_of(blueprint, settings.ec2, Image(RUN.image, "its layers")))
    assert "the-AWS" not in text
    assert not re.search(r"AKIA|aws_secret|SECRET_ACCESS_KEY=|SESSION_TOKEN=|PASSWORD=", text)
    assert len(text.encode()) < 0.8 * MAX_BYTES, "hyperparameters may come besides"

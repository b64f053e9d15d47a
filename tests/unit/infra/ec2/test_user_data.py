"""User data: values that a shell reads as they are, in a script that AWS takes."""

from dataclasses import replace

import pytest

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

"""Presets are settings in TOML: what is wrong in one is said with its line."""

import re
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import Any, get_args, get_type_hints

import pytest

from infra.errors import StepFailed
from infra.presets import FOLDER, find, read
from infra.settings import DeploymentSettings

DEFAULT = FOLDER / "default.toml"


def keys_of(kind: Any) -> set[str]:
    """The names of all fields of the settings, in all their parts."""
    found: set[str] = set()
    hints = get_type_hints(kind)
    for spec in fields(kind):
        found.add(spec.name)
        for part in (hints[spec.name], *get_args(hints[spec.name])):
            if is_dataclass(part):
                found |= keys_of(part)
    return found


def test_the_default_is_the_settings_without_a_preset() -> None:
    assert read(DEFAULT) == DeploymentSettings()


def test_the_default_describes_every_key() -> None:
    text = DEFAULT.read_text()
    named = {part for header in re.findall(r"^[# ]*\[+([a-z0-9_.]+)\]", text, re.M) for part in header.split(".")}
    keys = set(re.findall(r"^[# ]*([a-z_]+) = ", text, re.M))
    assert named | keys == keys_of(DeploymentSettings) | {"version"}


@pytest.mark.parametrize("path", sorted(FOLDER.glob("*.toml")), ids=lambda path: path.stem)
def test_every_preset_can_be_read(path: Path) -> None:
    read(path)


def test_what_the_systems_differ_in() -> None:
    a, b, c, d, e = (read(find(name)) for name in "abcde")
    assert [model.training.instances for model in a.models] == [1, 2]
    assert a.function.provisioned == 2
    assert (b.tuning.jobs, b.tuning.parallel, b.function.reserved) == (10, 3, 100)
    assert {model.training.instance_type for model in c.models} == {"ml.g4dn.xlarge"}
    assert [model.endpoint.scaling is None for model in d.models] == [True, False]
    assert (e.models[0].name, e.function.reserved, e.function.system) == ("", 3, "E")
    scalings = [one.endpoint.scaling for settings in (a, b, c, d, e) for one in settings.models if one.endpoint.scaling]
    assert [one.max_instances for one in scalings] == [4, 5, 3, 4, 3]


def test_the_ec2_hosts_of_the_systems() -> None:
    hosts = [read(find(name)).ec2 for name in "abcde"]
    found = [(one.instance_type, one.ami, one.market, one.ssh_from) for one in hosts if one]
    assert found == [
        ("g5.xlarge", "deep-learning", "on-demand", "own"),
        ("t3.xlarge", "deep-learning", "spot", "own"),
        ("t2.xlarge", "amazon-linux-2023", "on-demand", ""),
        ("m5.xlarge", "deep-learning", "on-demand", ""),
        ("m5.xlarge", "deep-learning", "on-demand", ""),
    ]
    assert DeploymentSettings().ec2 is None


def test_the_notebooks_of_the_systems() -> None:
    notebooks = [read(find(name)).notebook for name in "abcde"]
    types = ["ml.t3.medium", "ml.t2.medium", "ml.t3.medium", "ml.t3.medium", "ml.t3.medium"]
    assert [one and one.instance_type for one in notebooks] == types
    assert DeploymentSettings().notebook is None


@pytest.mark.parametrize(
    ("text", "line", "reason"),
    [
        ("colour = 'red'", 1, "there is no key 'colour' here: known are project, region, account, tags"),
        ("region = 'eu-west-1'\nprojekt = 'dogs'", 2, "there is no key 'projekt' here: did you mean 'project'?"),
        ("\n[tuning]\njobs = '10'", 3, "tuning.jobs must be a whole number, not '10'."),
        ("[function]\nurl = 1", 2, "function.url must be true or false, not 1."),
        ("[function]\nreserved = true", 2, "function.reserved must be a whole number, not True."),
        ("[function]\norigins = 'https://a'", 2, "function.origins must be a list."),
        ("[function]\norigins = [1]", 2, "function.origins must be a text, not 1."),
        ("function = 3", 1, "function must be a table."),
        ("models = 3", 1, "models must be a list."),
        ("tags = 3", 1, "tags must be a table."),
        ("[hyperparameters]\nepochs = 5", 2, "hyperparameters.epochs must be a text, not 5."),
        ("[tuning.ranges.continuous]\nlr = ['1']", 2, "tuning.ranges.continuous.lr must have 2 values."),
        ("[[models]]\nname = 'a'\n[[models]]\nname = 'b'\n[models.training]\ngpus = 1", 6, "no key 'gpus'"),
        ("[[models]]\n[models.endpoint.scaling]\nmin_instances = 1", 2, "lacks max_instances, target."),
        ("[[models]]\n[models.endpoint]\ninstances = 0", 2, "AWS takes 1 or more."),
        ("[[models]]\nname = 'a'\n\n[[models]]\nname = 'a'", 1, "several must each have a name of their own."),
        ("project = 'Dogs'", 1, "The project name 'Dogs'"),
        ("[[models]]\nendpoint = {instances = 1, colour = 1}", 2, "there is no key 'colour' here"),
        ("[notebook]\nvolume_gb = 1", 1, "1 GB: AWS takes 5 to 16,384."),
        ("project = 'dogs'\n[data]\nbucket = 'photos'", 2, "data lacks account."),
        ("[data]\nbucket = 'photos'\naccount = 210987654321", 3, "data.account must be a text, not 210987654321."),
        ("[data]\nbucket = 'Photos'\naccount = '210987654321'", 1, "The bucket 'Photos'"),
        ("version = 2", 1, "it is of version 2, and this Stagemaker reads version 1."),
    ],
)
def test_what_is_wrong_is_said_with_its_line(tmp_path: Path, text: str, line: int, reason: str) -> None:
    path = tmp_path / "mine.toml"
    path.write_text(text)
    with pytest.raises(StepFailed) as caught:
        read(path)
    assert caught.value.reason.startswith(f"{path}, line {line}: ")
    assert reason in caught.value.reason
    assert "default.toml" in caught.value.next_step


@pytest.mark.parametrize("content", [b"project = ", b"a = 1\na = 2", b"\xff\xfe"])
def test_what_is_no_toml(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "mine.toml").write_bytes(content)
    with pytest.raises(StepFailed, match="is no TOML"):
        read(tmp_path / "mine.toml")


def test_a_large_file_is_not_read(tmp_path: Path) -> None:
    with (tmp_path / "large.toml").open("wb") as file:
        file.truncate(1 << 30)
    with pytest.raises(StepFailed, match="more than 1,048,576 bytes"):
        read(tmp_path / "large.toml")


def test_a_preset_by_name_and_by_path(tmp_path: Path) -> None:
    assert find("C") == FOLDER / "c.toml"
    (tmp_path / "mine.toml").touch()
    assert find(str(tmp_path / "mine.toml")) == tmp_path / "mine.toml"
    for name in ("f", "../../secret", str(tmp_path / "none.toml")):
        with pytest.raises(StepFailed, match="There is no preset") as caught:
            find(name)
        assert "a, b, c, d, default, e" in caught.value.next_step

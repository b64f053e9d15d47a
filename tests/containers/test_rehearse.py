"""A rehearsal of system E in containers: small, in a compose project of its own, and without the EC2 host, since the
push of its image takes minutes."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from benchmarks.ports import free_port
from infra.data import digits
from infra.paths import CHECKOUT
from tests.containers.container_stack import ContainerStack, left_in_the_engine
from tests.e2e.environment import EACH

REHEARSED = "stagemaker-rehearse-test"


@pytest.fixture
def stage(tmp_path: Path) -> Iterator[ContainerStack]:
    """A project that no other test uses: a rehearsal starts and stops a stack of its own."""
    data = digits.make(tmp_path / "data" / "digits", per_class=EACH)
    one = ContainerStack(REHEARSED, free_port(), free_port(), data)
    yield one
    one.run("stop", "--docker")
    assert left_in_the_engine(REHEARSED) == []


def test_a_system_is_played_from_empty_to_clean_in_containers(stage: ContainerStack, tmp_path: Path) -> None:
    text = (CHECKOUT / "presets" / "e.toml").read_text()
    text, count = re.subn(r"^target = .*$", "target = 4", text, flags=re.MULTILINE)
    text, hosts = re.subn(r"^\[ec2\]\n(?:[a-z_]+ = .*\n)*", "", text, flags=re.MULTILINE)
    assert (count, hosts) == (1, 1)
    preset = tmp_path / "e.toml"
    preset.write_text(f'{text}\n[hyperparameters]\nepochs = "1"\n')
    folder = tmp_path / "page"
    code, output = stage.run(
        "rehearse", "--docker", f"--preset={preset}", f"--out={folder}",
        JOBS="2", PARALLEL="2", STAGEMAKER_TIME_COMPRESSION="60", STAGEMAKER_STATE=str(tmp_path / "state"),
    )  # fmt: skip
    assert code == 0, output
    page = (folder / "index.md").read_text()
    assert "## It ran to the end" in page
    assert "e in containers" in page.casefold()
    assert "AccessDeniedException" in page
    assert "nothing of the project is left" in page
    assert "This system has no EC2 host." in page
    assert (folder / "index.html").read_text().count("<svg") == 3
    assert left_in_the_engine(REHEARSED) == []

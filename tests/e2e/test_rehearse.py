"""A rehearsal of system E as processes, by README's own command: small, but with every scene."""

import re
from pathlib import Path

import pytest

from infra.paths import CHECKOUT
from tests.e2e import readme
from tests.e2e.environment import Environment, leftovers

SECTIONS = (
    "It ran to the end", "By hand, and here", "Plan", "Tuning", "Training and endpoints", "A second deployment",
    "The function, in the form of system E", "The call before the policy", "The EC2 host beside the training job",
    "Scaling under load",
    "The policies that the run needed", "What it would have cost on AWS", "Clean-up", "Times",
)  # fmt: skip
# One minute of AWS in a second: the load takes 33 s, at a rate that a target of 4 keeps small.
COMPRESSED = {"STAGEMAKER_TIME_COMPRESSION": "60"}


@pytest.fixture
def small_e(tmp_path: Path) -> Path:
    """System E with two training jobs to search, one epoch each, and a target that few requests reach."""
    text = (CHECKOUT / "presets" / "e.toml").read_text()
    text, count = re.subn(r"^target = .*$", "target = 4", text, flags=re.MULTILINE)
    assert count == 1
    path = tmp_path / "e.toml"
    path.write_text(f'{text}\n[hyperparameters]\nepochs = "1"\n')
    return path


def test_a_system_is_played_from_empty_to_clean(environment: Environment, small_e: Path, tmp_path: Path) -> None:
    variables = environment.variables | COMPRESSED | {"JOBS": "2", "PARALLEL": "2"}
    said = readme.run(readme.block("make rehearse"), CHECKOUT, variables, {"PRESET=e": f"PRESET={small_e}"})
    folder = environment.paths.state / "rehearse" / "e"
    assert f"Page: {folder / 'index.html'}" in said
    page = (folder / "index.md").read_text()
    assert tuple(re.findall("^## (.*)$", page, re.MULTILINE)) == SECTIONS
    assert "AccessDeniedException" in page
    for key in ("statusCode", "Access-Control-Allow-Origin", "type-result", "COntent-Type-In", "body"):
        assert f'"{key}"' in page
    assert "It changed nothing" in page
    assert "nothing of the project is left" in page
    counts = re.findall(r"^\| (?:Due|Answered) \| ([0-9,]+)", page, re.MULTILINE)
    due, answered = (int(count.replace(",", "")) for count in counts)
    assert 0 < answered <= due
    assert (folder / "index.html").read_text().count("<svg") == len(list(folder.glob("picture-*.svg"))) == 3
    assert {path.stem for path in (folder / "policies").iterdir()} == {"training", "hosting", "lambda", "caller"}
    assert leftovers(tmp_path) == []


def test_a_scene_that_fails_ends_the_rehearsal_with_a_page_that_says_so(
    environment: Environment, small_e: Path, tmp_path: Path
) -> None:
    weights = tmp_path / "weights.safetensors"
    weights.write_text("no weights")
    bad = (f"--preset={small_e}", f"--pretrained={weights}")
    code, output = environment.run("rehearse", *bad, JOBS="1", PARALLEL="1")
    assert code == 1
    assert "Failed:" in output
    page = (environment.paths.state / "rehearse" / "e" / "index.md").read_text()
    assert "## It failed" in page
    assert "It ended in the scene “tuning”" in page
    assert "## Clean-up" not in page
    assert leftovers(tmp_path) == []

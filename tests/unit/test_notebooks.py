"""The notebooks as the repository keeps them. `make test-notebook` runs them; ruff reads their cells as other code."""

import json
from pathlib import Path

import pytest

from tests.unit.sources import ROOT

NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_is_kept_without_outputs(path: Path) -> None:
    cells = json.loads(path.read_text())["cells"]
    code = [cell for cell in cells if cell["cell_type"] == "code"]
    assert code
    assert [cell["source"] for cell in code if cell["outputs"] or cell["execution_count"]] == []


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_knows_nothing_of_the_stage(path: Path) -> None:
    text = path.read_text().lower()
    assert [word for word in ("localstack", "4566", "endpoint_url=", "plugin") if word in text] == []

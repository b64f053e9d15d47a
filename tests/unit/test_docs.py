"""The documents say what the code says, and the cheap rules of CONTRIBUTING.md hold."""

import ast
import re
from pathlib import Path

import pytest

from ml.config import describe
from tests.unit.sources import ROOT, imports, sources

DOCS = ROOT / "docs"
DECISIONS = sorted((DOCS / "decisions").glob("[0-9]*.md"))
STATUS = re.compile(r"^Status: (proposed|accepted|superseded by \d{4}), \d{4}-\d{2}-\d{2}$")
# Every docstring below these folders says itself what the thing does.
PLAIN_FOLDERS = ("ml", "containers", "infra", "plugin/stagemaker", "benchmarks", "tests")
DOCUMENTED = ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef


def test_the_table_of_hyperparameters_is_the_trainers() -> None:
    text = (DOCS / "containers.md").read_text()
    for name, default, accepted in describe():
        assert f"| `{name}` | `{default}` | {accepted} |" in text


@pytest.mark.parametrize(("client", "lock"), [("Estimator", "clients-sdk2"), ("ModelTrainer", "clients-sdk3")])
def test_the_page_of_clients_names_the_versions_that_its_test_installs(client: str, lock: str) -> None:
    (version,) = re.findall(
        r"^sagemaker==(\d+\.\d+)\.", (ROOT / "requirements" / f"{lock}.txt").read_text(), re.MULTILINE
    )
    assert f"\n## {client} (SageMaker SDK {version})\n" in (DOCS / "clients.md").read_text()


@pytest.mark.parametrize("folder", PLAIN_FOLDERS)
def test_no_docstring_only_points_elsewhere(folder: str) -> None:
    for path in sources(folder):
        nodes = [node for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, DOCUMENTED)]
        found = [text for node in nodes if re.fullmatch(r"See [^.]+\.?", text := ast.get_docstring(node) or "")]
        assert not found, f"{path.relative_to(ROOT)}: {found}"


def test_no_test_module_is_imported_by_another() -> None:
    for path in sources("tests"):
        found = [name for name in imports(path) if re.search(r"^tests\.(\w+\.)*test_\w+$", name)]
        assert not found, f"{path.relative_to(ROOT)} imports {found}"


@pytest.mark.parametrize("path", DECISIONS, ids=lambda path: path.stem)
def test_a_decision_has_a_number_a_status_and_a_date_and_is_in_the_index(path: Path) -> None:
    title, empty, status, *_ = path.read_text().splitlines()
    assert title.startswith(f"# {path.stem[:4]}: ")
    assert empty == ""
    assert STATUS.match(status), status
    assert f"({path.name})" in (DOCS / "decisions" / "README.md").read_text()


def test_the_glossary_is_in_alphabetical_order() -> None:
    words = re.findall(r"^\| ([^|]+?) \| ", (DOCS / "glossary.md").read_text(), re.MULTILINE)[1:]
    assert words == sorted(words, key=str.lower)

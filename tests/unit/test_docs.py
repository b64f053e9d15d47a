"""The documents say what the code says."""

from pathlib import Path

from ml.config import describe

DOCS = Path(__file__).resolve().parents[2] / "docs"


def test_the_table_of_hyperparameters_is_the_trainers() -> None:
    text = (DOCS / "containers.md").read_text()
    for name, default, accepted in describe():
        assert f"| `{name}` | `{default}` | {accepted} |" in text

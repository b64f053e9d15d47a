"""What callers are told."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

from stagemaker.core.errors import HINT, hinted
from tests.unit.sources import ROOT, sources

DOCUMENTED = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)


def texts(path: Path) -> Iterator[str]:
    """Every text of a module that is no docstring."""
    tree = ast.parse(path.read_text())
    documented = [node for node in ast.walk(tree) if isinstance(node, DOCUMENTED) and ast.get_docstring(node)]
    docstrings = {id(node.body[0].value) for node in documented if isinstance(node.body[0], ast.Expr)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in docstrings:
            yield node.value


def test_a_caller_can_tell_the_stage_s_advice_apart() -> None:
    message = hinted("Requested image x not found.", "push it first.")
    assert message.split(HINT) == ["Requested image x not found. ", "push it first."]


def test_no_message_names_a_command_of_this_repository() -> None:
    """Callers of AWS's interfaces have no Makefile."""
    found = {
        (path.relative_to(ROOT).as_posix(), text)
        for path in sources("plugin/stagemaker")
        for text in texts(path)
        if re.search(r"\bmake [a-z-]+`|python -m infra", text)
    }
    assert found == set()

"""docs/localstack.md lists what a successor of LocalStack would have to replace: every file of the adapters."""

import re
from pathlib import Path

_CHECKOUT = Path(__file__).parents[3]


def test_the_page_has_a_row_for_each_adapter() -> None:
    page = (_CHECKOUT / "docs" / "localstack.md").read_text()
    listed = re.findall(r"^\| `(\w+\.py)` \|", page, re.MULTILINE)
    folder = _CHECKOUT / "plugin" / "stagemaker" / "adapters"
    assert sorted(listed) == sorted(path.name for path in folder.glob("*.py"))

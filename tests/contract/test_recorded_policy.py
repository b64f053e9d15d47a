"""The policy of a run: it is recorded, and enough for the same run in the mode strict; nothing of it is too much."""

import json
import urllib.error
import urllib.request
from typing import Any
from urllib.parse import urlencode

import pytest

from tests.contract.gateway import Gateway


def asked(gateway: Gateway, **query: Any) -> tuple[int, Any]:
    """The status and the answer of the stage's address."""
    url = f"{gateway.url}/_stagemaker/policy?{urlencode(query, doseq=True)}"
    try:
        with urllib.request.urlopen(url, timeout=60) as answer:
            return answer.status, json.load(answer)
    except urllib.error.HTTPError as error:
        return error.code, json.load(error)


def test_a_principal_that_nobody_saw_is_not_found(gateway: Gateway) -> None:
    arn = "arn:aws:iam::000000000000:role/nobody"
    assert asked(gateway, Principal=arn) == (
        404, {"__type": "ResourceNotFoundException", "message": f"Nothing was recorded of {arn}."},
    )  # fmt: skip


@pytest.mark.parametrize("query", [{"Principal": ""}, {"Group": ["x"] * 21}, {"Group": "x" * 3000}])
def test_a_wrong_question_is_refused(gateway: Gateway, query: dict[str, Any]) -> None:
    status, answer = asked(gateway, **query)
    assert (status, answer["__type"]) == (400, "ValidationException")

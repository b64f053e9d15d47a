"""What a function URL's event has of a request, and what an answer sets."""

import json

import pytest

from stagemaker.access.callers import Caller
from stagemaker.access.request import Principal
from stagemaker.functions.url_event import authorizer, cookies_of, joined_headers, set_cookies


def test_headers_are_joined_by_their_names_in_lower_case() -> None:
    given = [("X-A", "1"), ("Connection", "close"), ("x-a", "2"), ("Remote-Addr", "10.0.0.1"), ("Host", "h")]
    assert joined_headers(given) == {"x-a": "1,2", "host": "h"}


def test_a_signed_call_says_who_calls_and_whose_the_function_is() -> None:
    arn = "arn:aws:iam::111122223333:user/example-user"
    found = authorizer(Caller(Principal(arn), "AKIAEXAMPLE", "AIDAEXAMPLE", user_name="example-user"), "123456789012")
    assert found["accountId"] == "123456789012"
    assert found["authorizer"]["iam"] == {
        "accessKey": "AKIAEXAMPLE", "accountId": "111122223333", "callerId": "AIDAEXAMPLE", "cognitoIdentity": None,
        "principalOrgId": None, "userArn": arn, "userId": "AIDAEXAMPLE",
    }  # fmt: skip


def test_cookies_are_a_list() -> None:
    assert cookies_of(["a=1; b=2", "c=3"]) == ["a=1", "b=2", "c=3"]
    assert cookies_of([]) == cookies_of([" ; "]) == []


@pytest.mark.parametrize(
    ("answer", "cookies"),
    [
        ({"statusCode": 200, "cookies": ["a=1; Path=/", "b=2"]}, ["a=1; Path=/", "b=2"]),
        ({"statusCode": 200, "cookies": "a=1"}, []),
        ({"cookies": [1, "b=2"]}, ["b=2"]),
        ([1], []),
        ("text", []),
    ],
)
def test_an_answer_may_set_cookies(answer: object, cookies: list[str]) -> None:
    assert set_cookies(json.dumps(answer).encode()) == cookies


def test_an_answer_that_is_no_json_sets_none() -> None:
    assert set_cookies(b"\xff") == []

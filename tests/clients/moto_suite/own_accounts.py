"""A pytest plugin for moto's tests: it gives each of them an AWS account of its own on the stage, and counts its calls.

Moto's tests empty moto before each test, and expect the account 123456789012. The stage cannot be emptied, so that each
test calls as another account, and the numbers, which are equally long, are exchanged in what is sent and received. A
request is signed again after that, since the stage refuses what was changed.
"""

import itertools
import os
import re
from collections.abc import Iterator
from typing import Any
from unittest.mock import patch

import pytest
from botocore.auth import S3SigV4Auth, SigV4Auth
from botocore.awsrequest import AWSPreparedRequest, AWSRequest, AWSResponse
from botocore.credentials import Credentials
from botocore.httpsession import URLLib3Session

MOTOS_ACCOUNT = "123456789012"
MOTOS_KEY = "FOOBARKEY"  # the access key of mock_aws; LocalStack takes a key of 12 digits as the account
SECRET = "test"  # of every account's number
_SCOPE = re.compile(r"Credential=(\d{12})/\d{8}/([^/]+)/([^/]+)/aws4_request")
_accounts = (f"{number:012}" for number in itertools.count(int(os.environ["MOTO_FIRST_ACCOUNT"])))
_send = URLLib3Session.send


@pytest.fixture(autouse=True)
def own_account(record_property: Any) -> Iterator[None]:
    """For one test; `calls` in the report is how many requests it sent."""
    account, calls = next(_accounts), 0

    def send(session: URLLib3Session, request: AWSPreparedRequest) -> AWSResponse:
        nonlocal calls
        calls += 1
        request.url = _exchange(request.url, MOTOS_ACCOUNT, account)
        request.body = _exchange(request.body, MOTOS_ACCOUNT, account)
        for name, value in list(request.headers.items()):
            request.headers[name] = _exchange(_exchange(value, MOTOS_KEY, account), MOTOS_ACCOUNT, account)
        _sign(request)
        response = _send(session, request)
        if not request.stream_output:
            response._content = _exchange(response.content, account, MOTOS_ACCOUNT)
        return response

    with patch.object(URLLib3Session, "send", send):
        yield
    record_property("calls", calls)


def _sign(request: AWSPreparedRequest) -> None:
    """Sign what an account's number has signed before, as it is now; other requests stay as they are."""
    headers = {name: text(value) for name, value in request.headers.items()}
    found = _SCOPE.search(headers.get("Authorization", ""))
    if found is None:
        return
    account, region, service = found.groups()
    signed = AWSRequest(request.method, request.url, headers, request.body)
    sort = S3SigV4Auth if service == "s3" else SigV4Auth
    sort(Credentials(account, SECRET), service, region).add_auth(signed)
    for name, value in signed.headers.items():
        request.headers[name] = value


def text(value: str | bytes) -> str:
    """A header's value, which botocore has in either type."""
    return value.decode() if isinstance(value, bytes) else value


def _exchange(value: Any, old: str, new: str) -> Any:
    """In text and in bytes; streams stay as they are."""
    if isinstance(value, str):
        return value.replace(old, new)
    if isinstance(value, bytes | bytearray):
        return bytes(value).replace(old.encode(), new.encode())
    return value

"""What a function URL's event has of a request, and what its answer has besides status, headers and body. Pure.

Source: https://docs.aws.amazon.com/lambda/latest/dg/urls-invocation.html#urls-payloads, payload format 2.0.
"""

import json
from collections.abc import Iterable
from typing import Any

from stagemaker.access.callers import Caller

_OURS = ("connection", "x-localstack-tgt-api", "x-localstack-request-url", "remote-addr")  # of LocalStack's server


def joined_headers(headers: Iterable[tuple[str, str]]) -> dict[str, str]:
    """By their names in lower case; values of headers that were sent twice, with commas between them."""
    found: dict[str, str] = {}
    for name, value in headers:
        key = name.lower()
        if key not in _OURS:
            found[key] = f"{found[key]},{value}" if key in found else value
    return found


def authorizer(caller: Caller, owner: str) -> dict[str, Any]:
    """What the request context has for AuthType AWS_IAM. `owner` is the account of the function."""
    iam = {
        "accessKey": caller.access_key_id,
        "accountId": caller.principal.account,
        "callerId": caller.user_id,
        "cognitoIdentity": None,
        "principalOrgId": None,
        "userArn": caller.principal.arn,
        "userId": caller.user_id,
    }
    return {"accountId": owner, "authorizer": {"iam": iam}}


def cookies_of(headers: Iterable[str]) -> list[str]:
    """Each `name=value` of the Cookie headers."""
    return [cookie.strip() for header in headers for cookie in header.split(";") if cookie.strip()]


def set_cookies(payload: bytes) -> list[str]:
    """The Set-Cookie headers that a function's answer asks for."""
    try:
        answer = json.loads(payload)
    except ValueError:
        return []
    cookies = answer.get("cookies") if isinstance(answer, dict) else None
    return [cookie for cookie in cookies if isinstance(cookie, str)] if isinstance(cookies, list) else []

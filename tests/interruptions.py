"""A call of the stage's own address for interruptions, signed as those of AWS are."""

import json
import urllib.error
import urllib.request
from typing import Any

from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

ROOT = "test", "test"


def interrupt(url: str, body: bytes, service: str, keys: tuple[str, str] | None = ROOT) -> tuple[int, Any]:
    """Status and answer of the LocalStack at the URL; without keys the call is not signed."""
    request = AWSRequest("POST", f"{url}/_stagemaker/interruptions", data=body)
    if keys:
        SigV4Auth(Credentials(*keys), service, "us-east-1").add_auth(request)
    sent = urllib.request.Request(request.url, data=body, headers=dict(request.headers.items()), method="POST")
    try:
        with urllib.request.urlopen(sent, timeout=60) as answer:
            return answer.status, json.load(answer)
    except urllib.error.HTTPError as error:
        return error.code, json.load(error)

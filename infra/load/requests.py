"""The request that a load sends again and again, signed as AWS clients sign, over connections that are kept.

boto3 takes about four times the processor time for a request, which a load would take away from what it measures when
both run on one machine."""

import http.client
import json
import re
import select
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote, urlsplit

from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest

ANSWERED = ""
TIMEOUT, CONNECTION, THROTTLED, FUNCTION_ERROR = "Timeout", "Connection", "Throttled", "FunctionError"
MAX_ANSWER_BYTES = 8 << 20  # of InvokeEndpoint at most 6 MiB, and of Invoke
MAX_IDLE_S = 4.0  # a connection that rested for longer is not used again: servers close theirs after 5 s and more
_THROTTLES = ("ThrottlingException", "TooManyRequestsException", "Throttling")
_CODE = re.compile(r"[A-Za-z]{1,64}")


@dataclass(frozen=True)
class Request:
    """A POST to a service of AWS; `service` is its name in signatures, empty for what needs none."""

    service: str
    url: str
    headers: Mapping[str, str]
    body: bytes


def invoke_endpoint(base_url: str, endpoint: str, content_type: str, body: bytes) -> Request:
    """SageMaker Runtime's InvokeEndpoint."""
    url = f"{base_url}/endpoints/{quote(endpoint, safe='')}/invocations"
    headers = {"Content-Type": content_type, "Accept": "application/json"}
    return Request("sagemaker", url, headers, body)


def invoke_function(base_url: str, function: str, event: Any) -> Request:
    """Lambda's Invoke."""
    url = f"{base_url}/2015-03-31/functions/{quote(function, safe='')}/invocations"
    headers = {"Content-Type": "application/json"}
    return Request("lambda", url, headers, json.dumps(event).encode())


def call_url(url: str, content_type: str, body: bytes, *, signed: bool) -> Request:
    """A function's URL: of AuthType AWS_IAM where `signed`, else NONE."""
    return Request("lambda" if signed else "", url, {"Content-Type": content_type}, body)


class Connection:
    """Sends one request after the other, over one connection as long as it lasts. For one thread."""

    def __init__(self, request: Request, credentials: Any, region: str, timeout_s: float) -> None:
        self._request, self._credentials, self._region = request, credentials, region
        address = urlsplit(request.url)
        kind = http.client.HTTPSConnection if address.scheme == "https" else http.client.HTTPConnection
        host = address.hostname or ""
        # Browsers and curl know that such names are this machine (RFC 6761, 6.3); resolvers need not.
        host = "localhost" if host.endswith(".localhost") else host
        self._http = kind(host, address.port, timeout=timeout_s)
        self._headers, self._path = {**request.headers, "Host": address.netloc}, address.path
        self._used_s = 0.0

    def send(self) -> str:
        """What became of the request: ANSWERED, or why it failed, in one word. It is never sent a second time."""
        if self._http.sock is not None and (self._is_closed() or time.monotonic() - self._used_s > MAX_IDLE_S):
            self._http.close()
        try:
            self._http.request("POST", self._path, self._request.body, self._signed())
            response = self._http.getresponse()
            body = response.read(MAX_ANSWER_BYTES)
            if not response.isclosed():
                self._http.close()
        except TimeoutError:
            self._http.close()
            return TIMEOUT
        except (OSError, http.client.HTTPException):
            self._http.close()
            return CONNECTION
        self._used_s = time.monotonic()
        return outcome(response.status, {name.lower(): value for name, value in response.getheaders()}, body)

    def close(self) -> None:
        """End the connection."""
        self._http.close()

    def _signed(self) -> dict[str, str]:
        """The headers with the signature of this moment, Signature Version 4, where one is needed."""
        if not self._request.service:
            return self._headers
        unsigned = AWSRequest("POST", self._request.url, headers=dict(self._headers), data=self._request.body)
        # Credentials of a role are renewed from time to time.
        SigV4Auth(self._credentials.get_frozen_credentials(), self._request.service, self._region).add_auth(unsigned)
        return dict(unsigned.headers.items())

    def _is_closed(self) -> bool:
        """Whether the server ended the connection while nothing was asked."""
        return bool(select.select([self._http.sock], [], [], 0)[0])


def outcome(status: int, headers: Mapping[str, str], body: bytes) -> str:
    """ANSWERED, or why not: AWS's code, THROTTLED for the codes of throttling, FUNCTION_ERROR where a function failed
    or says that the endpoint did, else `HTTP <status>`. Names of headers are in lower case."""
    if "x-amz-function-error" in headers:
        return FUNCTION_ERROR
    if 200 <= status < 300:
        return FUNCTION_ERROR if _says_failed(body) else ANSWERED
    code = headers.get("x-amzn-errortype") or _code_in(body)
    found = _CODE.match(code.rpartition("#")[2])
    if found is None:
        return FUNCTION_ERROR if _says_failed(body) else f"HTTP {status}"
    return THROTTLED if found[0] in _THROTTLES else found[0]


def _says_failed(body: bytes) -> bool:
    """Whether it is the answer of a function whose endpoint failed: {"statusCode": 503, ...}, {"error": "<sentence>"},
    or the text of the latter. An endpoint's own answer has no such form."""
    if not body.startswith((b"{", b'"{')):
        return False
    found = _json(body)
    if isinstance(found, str):
        found = _json(found)
    return isinstance(found, dict) and ("error" in found or found.get("statusCode", 200) != 200)


def _code_in(body: bytes) -> str:
    found = _json(body)
    return str(found.get("__type") or found.get("code") or "") if isinstance(found, dict) else ""


def _json(text: bytes | str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None

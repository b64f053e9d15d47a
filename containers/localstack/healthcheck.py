"""The program of the image's HEALTHCHECK: exit status 0 when STS, S3 and SageMaker answer a real call.

LocalStack's own health page reports health even when services are broken, and SageMaker answers only with the plugin.
The program imports only the standard library, because boto3 takes too long for a check that runs every few seconds.
"""

import hashlib
import hmac
import http.client
import os
import sys
import time

_REGION = "us-east-1"
_KEY_ID = "test"  # of the root user
_LIMIT_S = 10.0  # the first call loads the service, which takes seconds on a busy machine
_FORM = {"content-type": "application/x-www-form-urlencoded"}
_JSON = {"content-type": "application/x-amz-json-1.1", "x-amz-target": "SageMaker.ListModels"}
_CALLS: tuple[tuple[str, str, str, dict[str, str]], ...] = (
    ("sts", "POST", "Action=GetCallerIdentity&Version=2011-06-15", _FORM),
    ("s3", "GET", "", {}),  # ListBuckets
    ("sagemaker", "POST", "{}", _JSON),
)


def main() -> int:
    """Returns 0 when each service answers 200 within 10 s; else prints one line, which Docker keeps, and returns 1."""
    port = int(os.environ["GATEWAY_LISTEN"].rpartition(":")[2])
    secret = _secret(os.environ.get("STAGEMAKER_ROOT_KEYS", ""))
    for service, method, body, headers in _CALLS:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=_LIMIT_S)
        try:
            signed = _signed(service, method, body, headers | {"host": f"127.0.0.1:{port}"}, secret)
            connection.request(method, "/", body, signed)
            status = connection.getresponse().status
        except (OSError, http.client.HTTPException) as error:
            print(f"{service} does not answer: {error}")
            return 1
        finally:
            connection.close()
        if status != 200:
            print(f"{service} answers {status}")
            return 1
    return 0


def _secret(root_keys: str) -> str:
    """Of the key `test`, which a list of id:secret:account may give another one."""
    named = (key.strip().split(":") for key in root_keys.split(","))
    return next((words[1] for words in named if words[0] == _KEY_ID and len(words) == 3), _KEY_ID)


def _signed(service: str, method: str, body: str, headers: dict[str, str], secret: str) -> dict[str, str]:
    """The headers of a call of `/`, which are in lower case, with its signature of version 4: in the mode `strict` no
    other is answered."""
    moment = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime())
    payload = hashlib.sha256(body.encode()).hexdigest()
    headers = dict(sorted({**headers, "x-amz-content-sha256": payload, "x-amz-date": moment}.items()))
    names, lines = ";".join(headers), "".join(f"{name}:{value}\n" for name, value in headers.items())
    request = hashlib.sha256(f"{method}\n/\n\n{lines}\n{names}\n{payload}".encode()).hexdigest()
    parts = (moment[:8], _REGION, service, "aws4_request")
    key = f"AWS4{secret}".encode()
    for part in parts:
        key = hmac.digest(key, part.encode(), "sha256")
    scope = "/".join(parts)
    signature = hmac.digest(key, f"AWS4-HMAC-SHA256\n{moment}\n{scope}\n{request}".encode(), "sha256").hex()
    credential = f"Credential={_KEY_ID}/{scope}, SignedHeaders={names}, Signature={signature}"
    return {**headers, "Authorization": f"AWS4-HMAC-SHA256 {credential}"}


if __name__ == "__main__":
    sys.exit(main())

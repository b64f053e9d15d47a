"""The program of the image's HEALTHCHECK: exit status 0 when STS, S3 and SageMaker answer a real call.

LocalStack's own health page reports health even when services are broken, and SageMaker answers only with the plugin.
The program imports only the standard library, because boto3 takes too long for a check that runs every few seconds.
"""

import http.client
import os
import sys

_DATE = "20240101"
_LIMIT_S = 10.0  # the first call loads the service, which takes seconds on a busy machine
_FORM = {"Content-Type": "application/x-www-form-urlencoded"}
_JSON = {"Content-Type": "application/x-amz-json-1.1", "X-Amz-Target": "SageMaker.ListModels"}
_CALLS: tuple[tuple[str, str, str | None, dict[str, str]], ...] = (
    ("sts", "POST", "Action=GetCallerIdentity&Version=2011-06-15", _FORM),
    ("s3", "GET", None, {}),  # ListBuckets
    ("sagemaker", "POST", "{}", _JSON),
)


def main() -> int:
    """Returns 0 when each service answers 200 within 10 s; else prints one line, which Docker keeps, and returns 1."""
    port = int(os.environ["GATEWAY_LISTEN"].rpartition(":")[2])
    for service, method, body, headers in _CALLS:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=_LIMIT_S)
        try:
            connection.request(method, "/", body, _headers(service) | headers)
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


def _headers(service: str) -> dict[str, str]:
    """The headers of a call. LocalStack reads the service from the scope and does not check the signature.

    The last one says that the call comes from LocalStack itself: its log has no line for such a call."""
    scope = f"test/{_DATE}/us-east-1/{service}/aws4_request"
    return {
        "Authorization": f"AWS4-HMAC-SHA256 Credential={scope}, SignedHeaders=host, Signature=0",
        "x-localstack-data": "{}",
    }


if __name__ == "__main__":
    sys.exit(main())

"""Reads an image from S3 with the container's credentials: those of the endpoint's role, on AWS and on LocalStack.

boto3 is imported at the first use, because most endpoints never read S3: it takes 0.1 s of the CPU, and 7 MB.
"""

import re
from functools import cache
from os import environ
from typing import Any

from containers.serve.encodings import is_compressed
from containers.serve.refused import Refused, quoted
from containers.serve.settings import MAX_BODY_BYTES, REMOTE_TIMEOUT_S

_URI = re.compile(r"s3://([a-z0-9][a-z0-9.-]{1,61}[a-z0-9])/(.{1,1024})", re.DOTALL)


def read_object(uri: str, limit_bytes: int = MAX_BODY_BYTES) -> bytes:
    """The object at `s3://bucket/key`, at most `limit_bytes` long. It blocks, so call it from a thread.

    Raises Refused: 400 when it cannot be read (the sentence carries S3's code), 413 when it is too large."""
    match = _URI.fullmatch(uri)
    if not match:
        raise Refused(400, "The S3 address must have the form s3://bucket/key.")
    bucket, key = match.groups()
    from botocore.exceptions import BotoCoreError, ClientError

    try:
        answer = _client().get_object(Bucket=bucket, Key=key)
        with answer["Body"] as stream:
            body: bytes = stream.read(limit_bytes + 1) if answer["ContentLength"] <= limit_bytes else b""
    except ClientError as error:
        code = error.response.get("Error", {}).get("Code", "an unknown error")
        raise Refused(400, f"S3 would not give the object: {code}.") from error
    except (BotoCoreError, OSError) as error:
        raise Refused(400, f"The S3 object could not be read: {type(error).__name__}.") from error
    if not 0 <= answer["ContentLength"] <= limit_bytes or len(body) > limit_bytes:
        raise Refused(413, f"The S3 object is larger than {limit_bytes:,} bytes.")
    if not body:
        raise Refused(400, "The S3 object is empty.")
    if is_compressed(encoding := answer.get("ContentEncoding", "")):
        raise Refused(
            400, f"The S3 object is compressed, its Content-Encoding is {quoted(encoding)}; store it as it is."
        )
    return body


@cache
def _client() -> Any:
    """One client for all threads.

    When AWS_ENDPOINT_URL names another server than AWS, the bucket is in the path: sub-domains may not resolve."""
    import boto3
    from botocore.config import Config

    own = "AWS_ENDPOINT_URL" in environ or "AWS_ENDPOINT_URL_S3" in environ
    half = REMOTE_TIMEOUT_S / 2
    config = Config(
        connect_timeout=half / 2,
        read_timeout=half,
        retries={"total_max_attempts": 2, "mode": "standard"},
        s3={"addressing_style": "path" if own else "auto"},
    )
    return boto3.client("s3", config=config)

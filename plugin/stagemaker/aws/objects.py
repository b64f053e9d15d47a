"""Reads objects of S3 with little work for each: boto3's own client needs most of the time that many small objects
take, and it shares one processor core with LocalStack, in whose process it runs."""

from typing import Protocol
from urllib.parse import quote

from botocore.auth import S3SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.exceptions import HTTPClientError
from botocore.response import StreamingBody

from stagemaker.aws.clients import Clients
from stagemaker.core.refs import Scope


class Body(Protocol):
    """What an object holds, read once from its start. Closing it early is allowed."""

    def read(self, amt: int) -> bytes: ...
    def close(self) -> None: ...


class Objects:
    """Over the connections of the clients. Thread-safe."""

    def __init__(self, clients: Clients) -> None:
        self._clients = clients

    def open(self, scope: Scope, bucket: str, key: str) -> tuple[int, Body]:
        """Its size in bytes, and what it holds. Raises what boto3 raises; so does the reading.

        An answer other than 200, or none, is left to boto3, which tries again and knows S3's errors."""
        url = f"{self._clients.gateway_url}/{bucket}/{quote(key, safe='/~')}"
        request = AWSRequest("GET", url, stream_output=True)
        S3SigV4Auth(self._clients.credentials(scope).get_frozen_credentials(), "s3", scope.region).add_auth(request)
        try:
            response = self._clients.http.send(request.prepare())
        except HTTPClientError:
            response = None
        if response is not None and response.status_code == 200:
            size = int(response.headers["Content-Length"])
            return size, StreamingBody(response.raw, size)
        if response is not None:
            response.raw.close()
        found = self._clients("s3", scope).get_object(Bucket=bucket, Key=key)
        return int(found["ContentLength"]), found["Body"]

"""boto3 clients of the gateway, for what SageMaker does in the caller's account."""

import threading
from typing import Any

import boto3
from botocore.config import Config

from stagemaker.core.refs import Scope

_CONFIG = Config(
    retries={"mode": "standard", "max_attempts": 3},
    connect_timeout=5,
    read_timeout=60,
    max_pool_connections=16,
    s3={"addressing_style": "path"},
    request_checksum_calculation="when_required",
    response_checksum_validation="when_required",
)


class Clients:
    """boto3 clients of the gateway, one for each service, account and region, made once. Thread-safe."""

    def __init__(self, gateway_url: str) -> None:
        self.gateway_url = gateway_url
        self._lock = threading.Lock()
        self._clients: dict[tuple[str, Scope], Any] = {}

    def __call__(self, service: str, scope: Scope) -> Any:
        """A client with the rights of the account itself: LocalStack reads an access key of 12 digits as its number."""
        with self._lock:
            if (service, scope) not in self._clients:
                session = boto3.session.Session(scope.account, "stagemaker", region_name=scope.region)
                self._clients[service, scope] = session.client(service, endpoint_url=self.gateway_url, config=_CONFIG)
            return self._clients[service, scope]

"""boto3 clients of the gateway, for what SageMaker does in the caller's account."""

import threading
from collections.abc import Callable
from typing import Any

import boto3
import botocore.loaders
import botocore.session
from botocore.config import Config
from botocore.credentials import Credentials, ReadOnlyCredentials
from botocore.httpsession import URLLib3Session

from stagemaker.core.refs import Scope
from stagemaker.core.role_session import RoleSession

CONNECTIONS = 16  # of a client that are kept for its next calls
_CONNECT_S, _READ_S = 5, 60
_CONFIG = Config(
    retries={"mode": "standard", "max_attempts": 3},
    connect_timeout=_CONNECT_S,
    read_timeout=_READ_S,
    max_pool_connections=CONNECTIONS,
    s3={"addressing_style": "path"},
    request_checksum_calculation="when_required",
    response_checksum_validation="when_required",
)
ROOT_SECRET = "test"  # of the root user of every account  # noqa: S105
_LOADER = botocore.loaders.create_loader()  # one for all: it keeps AWS's service models, which take long to read


def of_accounts(secret: str) -> Callable[[Scope], Credentials]:
    """The credentials of the root user of any account: LocalStack reads an access key of 12 digits as its number. By
    the secret of the App the gateway knows the stage itself; ROOT_SECRET is that of everybody."""
    return lambda scope: Credentials(scope.account, secret)


_EVERYBODY = of_accounts(ROOT_SECRET)


class Clients:
    """boto3 clients of the gateway, one for each service, account and region, made once. Thread-safe.

    `credentials` says with whose rights they act: without it, with those of the account itself. `http` sends requests
    that are signed already, over connections that all who have these clients share."""

    def __init__(self, gateway_url: str, credentials: Callable[[Scope], Credentials] = _EVERYBODY) -> None:
        self.gateway_url, self.credentials = gateway_url, credentials
        self.http = URLLib3Session(timeout=(_CONNECT_S, _READ_S), max_pool_connections=CONNECTIONS)
        self._lock = threading.Lock()
        self._clients: dict[tuple[str, Scope], Any] = {}

    def __call__(self, service: str, scope: Scope) -> Any:
        """The client. Its calls raise what `RoleSession.credentials` raises."""
        with self._lock:
            if (service, scope) not in self._clients:
                core = botocore.session.Session()
                core.register_component("data_loader", _LOADER)
                core._credentials = self.credentials(scope)  # boto3 itself does it so
                session = boto3.session.Session(botocore_session=core, region_name=scope.region)
                self._clients[service, scope] = session.client(service, endpoint_url=self.gateway_url, config=_CONFIG)
            return self._clients[service, scope]


class RoleCredentials(Credentials):  # type: ignore[misc]  # botocore has no types
    """What boto3 signs each request with: the session's credentials as they are then."""

    def __init__(self, session: RoleSession) -> None:
        super().__init__("", "", method="assume-role")
        self._session = session

    def get_frozen_credentials(self) -> ReadOnlyCredentials:
        """The session's. ApiError when there are none any more."""
        now = self._session.credentials()
        return ReadOnlyCredentials(now.access_key_id, now.secret_access_key, now.token)

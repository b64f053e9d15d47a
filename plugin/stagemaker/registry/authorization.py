"""GetAuthorizationToken: the user and the password for `docker login`."""

import base64
from typing import Any

from stagemaker.api.unsupported import not_supported
from stagemaker.core.refs import Scope
from stagemaker.registry.catalog import Catalog
from stagemaker.registry.rights import Rights
from stagemaker.registry.tokens import USER, Tokens


class Authorization:
    """The operation. `host` is the registry's, such as localhost:5000."""

    def __init__(self, catalog: Catalog, tokens: Tokens, host: str | None, rights: Rights) -> None:
        self._catalog, self._tokens, self._host, self._rights = catalog, tokens, host, rights

    def get_authorization_token(self, scope: Scope, request: dict[str, Any]) -> dict[str, Any]:
        """For the caller's account and region, for 12 hours. It can do what the caller may do at each moment."""
        _ = self._catalog.backend  # raises where there is none
        if set(request.get("registryIds", [])) - {scope.account}:
            raise not_supported("the registry of another account (registryIds)")
        password, expires = self._tokens.issue(scope, self._rights.holder())
        data = {
            "authorizationToken": base64.b64encode(f"{USER}:{password}".encode()).decode(),
            "expiresAt": expires,
            "proxyEndpoint": f"http://{self._host}",
        }
        return {"authorizationData": [data]}

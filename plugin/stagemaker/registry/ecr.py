"""Composes ECR: its operations, the front on the registry's port, and the look-up for the runtimes."""

import errno
from collections.abc import Callable

from stagemaker.core.store import Store
from stagemaker.registry.authorization import Authorization
from stagemaker.registry.backend import Backend
from stagemaker.registry.catalog import Catalog
from stagemaker.registry.front import RegistryFront
from stagemaker.registry.images import Images
from stagemaker.registry.lifecycle import Lifecycle
from stagemaker.registry.lookup import RegistryLookup
from stagemaker.registry.repositories import Repositories
from stagemaker.registry.tokens import Tokens
from stagemaker.runtime.contract import Registry
from stagemaker.settings import DockerSettings


class Ecr:
    """`settings` None, or without a registry: repositories are kept, but images are refused. `address` is where the
    front listens; `secret` signs the tokens. `registry` is None where there is no registry."""

    def __init__(
        self, settings: DockerSettings | None, address: str, clock: Callable[[], float], secret: bytes
    ) -> None:
        url = settings.registry_url if settings else ""
        port = settings.registry_port if settings else 0
        host = f"localhost:{port}" if url else None
        self._catalog = Catalog(Store(), Backend(url) if url else None, clock)
        self._tokens = Tokens(secret, clock)
        self.services: tuple[object, ...] = (
            Repositories(self._catalog, host, clock),
            Images(self._catalog),
            Lifecycle(self._catalog, clock),
            Authorization(self._catalog, self._tokens, host),
        )
        self.registry: Registry | None = RegistryLookup(self._catalog, self._tokens, host) if host else None
        self._address = (address, port)
        self._front: RegistryFront | None = None

    def open(self) -> None:
        """Start the front, where there is a registry. Raises OSError with a sentence when its port is taken."""
        if self.registry is None:
            return
        try:
            self._front = RegistryFront(self._address, self._catalog, self._tokens)
        except OSError as error:
            if error.errno != errno.EADDRINUSE:
                raise
            port = self._address[1]
            raise OSError(f"The registry's port {port} is taken: free it, or set STAGEMAKER_REGISTRY_PORT.") from error

    def close(self) -> None:
        """Stop the front. Idempotent."""
        if self._front is not None:
            self._front.close()
            self._front = None

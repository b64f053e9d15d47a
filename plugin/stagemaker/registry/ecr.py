"""Composes ECR: its operations, the front on the registry's port, and the look-up for the runtimes."""

import errno
from collections.abc import Callable

from stagemaker.core.store import Store
from stagemaker.core.supervisor import Supervisor
from stagemaker.registry.authorization import Authorization
from stagemaker.registry.backend import Backend
from stagemaker.registry.catalog import Catalog
from stagemaker.registry.front import RegistryFront
from stagemaker.registry.images import RepositoryImages
from stagemaker.registry.lifecycle import Lifecycle
from stagemaker.registry.lookup import RegistryLookup
from stagemaker.registry.repositories import Repositories
from stagemaker.registry.rights import ALL_RIGHTS, Rights
from stagemaker.registry.tokens import Tokens
from stagemaker.runtime.contract import Registry
from stagemaker.settings import DockerSettings


class Ecr:
    """`settings` None, or without a registry: repositories are kept, but images are refused. `address` is where the
    front listens from now on, until `supervisor` closes it; `secret` signs the tokens, which have the `rights` of their
    holders. `registry` and `front` are None where there is no registry. Raises OSError, with a sentence, when the
    front's port is taken."""

    def __init__(
        self,
        settings: DockerSettings | None,
        store: Store,
        supervisor: Supervisor,
        address: str,
        clock: Callable[[], float],
        secret: bytes,
        rights: Rights = ALL_RIGHTS,
    ) -> None:
        url = settings.registry_url if settings else ""
        port = settings.registry_port if settings else 0
        host = f"localhost:{port}" if url else None
        self.catalog, self.tokens = Catalog(store, Backend(url) if url else None, clock), Tokens(secret, clock)
        self.repositories = Repositories(self.catalog, host, clock)
        self.images = RepositoryImages(self.catalog)
        self.lifecycle = Lifecycle(self.catalog, clock)
        self.authorization = Authorization(self.catalog, self.tokens, host, rights)
        self._lookup = RegistryLookup(self.catalog, self.tokens, host) if host else None
        self.registry: Registry | None = self._lookup
        self.front = _front((address, port), self.catalog, self.tokens, supervisor, rights) if host else None

    def media_type(self, image: str) -> str | None:
        """Of the manifest that an image's name means; None when the image is not of this registry. Raises
        ImageRefused when it is and is not there."""
        return self._lookup.media_type(image) if self._lookup else None


def _front(
    address: tuple[str, int], catalog: Catalog, tokens: Tokens, supervisor: Supervisor, rights: Rights
) -> RegistryFront:
    try:
        return RegistryFront(address, catalog, tokens, supervisor, rights)
    except OSError as error:
        if error.errno != errno.EADDRINUSE:
            raise
        port = address[1]
        raise OSError(f"The registry's port {port} is taken: free it, or set STAGEMAKER_REGISTRY_PORT.") from error

"""The registry as the runtimes see it: an image's name to what the engine has to pull (the protocol Registry)."""

import re

from stagemaker.core.errors import hinted
from stagemaker.core.kinds import REPOSITORY
from stagemaker.core.refs import Ref, Scope
from stagemaker.registry.catalog import Catalog, RepositoryImage, repository_ref
from stagemaker.registry.front_route import NAME
from stagemaker.registry.image_ids import Failure, find_image
from stagemaker.registry.rights import THE_STAGE
from stagemaker.registry.tokens import USER, Tokens
from stagemaker.runtime.contract import ImageRefused, Pull

DEFAULT_SCOPE = Scope("000000000000", "us-east-1")  # LocalStack's
_AWS_HOST = re.compile(r"(\d{12})\.dkr\.ecr\.([a-z0-9-]+)\..+", re.ASCII)


class RegistryLookup:
    """`host` is the registry's, such as localhost:5000. Thread-safe; asks only the records, never the service."""

    def __init__(self, catalog: Catalog, tokens: Tokens, host: str) -> None:
        self._catalog, self._tokens, self._host = catalog, tokens, host

    def find(self, image: str) -> Pull | None:
        """What the engine has to pull for this name; None when it is not of this registry. A name that begins with
        AWS's host says its account and region; one that begins with ours does not, and is looked for in LocalStack's
        default account and region first, then in all others. A name of an account that has no repository here is
        another registry's: an image that somebody pulled from it is in the engine."""
        found = self._find(image)
        if found is None:
            return None
        repository, there = found
        password, _ = self._tokens.issue(repository.scope, THE_STAGE)
        return Pull(f"{self._host}/{repository.name}@{there.digest}", USER, password)

    def media_type(self, image: str) -> str | None:
        """That of the manifest which this name means; None and raises as `find`."""
        found = self._find(image)
        return found[1].media_type if found else None

    def _find(self, image: str) -> tuple[Ref, RepositoryImage] | None:
        host, _, rest = image.partition("/")
        named = _aws_scope(host)
        if not named and host != self._host:
            return None
        if named and named.account not in self._accounts():
            return None
        path, _, digest = rest.partition("@")
        name, _, tag = path.partition(":")
        if not NAME.fullmatch(name):
            raise ImageRefused(f"Invalid image name {image}: '{name}' is not the name of a repository.")
        image_id = {**({"imageTag": tag} if tag else {}), **({"imageDigest": digest} if digest else {})}
        scope = named or self._scope_of(name)
        push = f"push the image to {self._host}/{name} (docker push to a name of amazonaws.com goes to AWS)"
        repository = repository_ref(scope, name)
        record = self._catalog.store.get(repository)
        if record is None:
            sentence = f"Cannot find repository: {name} in registry ID: {scope.account} ({scope.region})."
            wanted = "Please check if your ECR repository exists."
            raise ImageRefused(hinted(f"{sentence} {wanted}", f"create it with CreateRepository, and {push}."))
        found = find_image(record, image_id or {"imageTag": "latest"})
        if isinstance(found, Failure):
            why = "" if found.code == "ImageNotFound" else f" ({found.reason})"
            raise ImageRefused(hinted(f"Requested image {image} not found{why}.", f"{push} first."))
        return repository, found

    def _accounts(self) -> set[str]:
        return {DEFAULT_SCOPE.account, *(ref.scope.account for ref, _ in self._catalog.store.everywhere(REPOSITORY))}

    def _scope_of(self, name: str) -> Scope:
        scopes = [ref.scope for ref, _ in self._catalog.store.everywhere(REPOSITORY) if ref.name == name]
        return DEFAULT_SCOPE if DEFAULT_SCOPE in scopes or not scopes else scopes[0]


def repository_of(image: str, host: str | None, scope: Scope) -> Ref | None:
    """The address of the repository that an image's name means, whether or not it exists; None for a name of another
    registry. `host` is that of the registry here, whose names say no account: they mean `scope`."""
    named, _, rest = image.partition("/")
    found = _aws_scope(named) or (scope if named == host else None)
    name = rest.partition("@")[0].partition(":")[0]
    return repository_ref(found, name) if found is not None and NAME.fullmatch(name) else None


def _aws_scope(host: str) -> Scope | None:
    """The account and the region of a host of ECR's, in any partition of AWS."""
    match = _AWS_HOST.fullmatch(host)
    scope = Scope(match[1], match[2]) if match else None
    return scope if scope and scope.registry == host else None

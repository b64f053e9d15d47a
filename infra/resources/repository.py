"""ECR repositories for the images."""

from typing import Any

from infra.resources.resource import Change, Resource, State, differences, find

_WANTED = {
    # Mutable, since `latest` moves with every push, and a tree with changes builds under the revision it started from.
    "imageTagMutability": "MUTABLE",
    "imageScanningConfiguration": {"scanOnPush": True},
}


class Repository(Resource):
    """A repository with mutable tags, whose images are scanned on push."""

    title = "Repository"

    def __init__(self, ecr: Any, name: str, tags: list[dict[str, str]]) -> None:
        self._ecr, self.name, self._tags = ecr, name, tags

    def uri(self) -> str:
        """Where its images are pushed to, such as `localhost:5000/a/b`, once it is there."""
        found = self._ecr.describe_repositories(repositoryNames=[self.name])["repositories"][0]
        return str(found["repositoryUri"])

    def read(self) -> State | None:
        """DescribeRepositories' answer for it."""
        found = find(self._ecr.describe_repositories, repositoryNames=[self.name])
        return found["repositories"][0] if found else None

    def diff(self, state: State) -> list[Change]:
        """Mutability and scanning."""
        return differences(_WANTED, state)

    def create(self) -> str:
        """Make it, empty."""
        self._ecr.create_repository(repositoryName=self.name, **_WANTED, tags=self._tags)
        return ""

    def update(self, state: State, changes: list[Change]) -> str:
        """Put the settings that differ."""
        members = {change.member for change in changes}
        for member, put in (
            ("imageTagMutability", self._ecr.put_image_tag_mutability),
            ("imageScanningConfiguration", self._ecr.put_image_scanning_configuration),
        ):
            if member in members:
                put(repositoryName=self.name, **{member: _WANTED[member]})
        return ""

    def delete(self) -> None:
        """Delete it with its images."""
        self._ecr.delete_repository(repositoryName=self.name, force=True)

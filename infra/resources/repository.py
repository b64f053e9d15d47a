"""ECR repositories for the images.

A tag by a commit never moves: what was deployed by it stays what it was. Only `latest` follows the pushes.
"""

import json
from collections.abc import Mapping
from typing import Any

from botocore.exceptions import ClientError

from infra.image_settings import ImageSettings
from infra.resources.resource import Change, Resource, State, differences, error_code, find

LATEST = "latest"
_DEFAULTS = ImageSettings()
_WANTED = {
    "imageTagMutability": "IMMUTABLE_WITH_EXCLUSION",
    "imageTagMutabilityExclusionFilters": [{"filterType": "WILDCARD", "filter": LATEST}],
    "imageScanningConfiguration": {"scanOnPush": True},
}
# As Lambda itself adds it where the caller may: https://docs.aws.amazon.com/lambda/latest/dg/images-create.html
LAMBDA_STATEMENT = {
    "Sid": "LambdaECRImageRetrievalPolicy",
    "Effect": "Allow",
    "Principal": {"Service": "lambda.amazonaws.com"},
    "Action": ["ecr:BatchGetImage", "ecr:GetDownloadUrlForLayer"],
}


def lifecycle_policy(settings: ImageSettings) -> dict[str, Any]:
    """What expires: images without a tag, and all but the newest of the others."""
    days = {"countType": "sinceImagePushed", "countUnit": "days", "countNumber": settings.untagged_days}
    count = {"countType": "imageCountMoreThan", "countNumber": settings.keep}
    rules = (
        ("Images without a tag", {"tagStatus": "untagged", **days}),
        ("All but the newest images", {"tagStatus": "any", **count}),
    )
    return {
        "rules": [
            {"rulePriority": number, "description": text, "selection": selection, "action": {"type": "expire"}}
            for number, (text, selection) in enumerate(rules, start=1)
        ]
    }


class Repository(Resource):
    """A repository with `settings` and at least these tags, whose images are scanned on push. `for_functions`: Lambda
    may pull from it. What it is encrypted with cannot be changed on AWS, and is left as it is."""

    title = "Repository"
    holds = "its images"

    def __init__(
        self,
        ecr: Any,
        name: str,
        settings: ImageSettings = _DEFAULTS,
        tags: Mapping[str, str] | None = None,
        *,
        for_functions: bool = False,
    ) -> None:
        self._ecr, self.name, self._settings, self._tags = ecr, name, settings, dict(tags or {})
        self._for_functions = for_functions

    def uri(self) -> str:
        """Where its images are pushed to, such as `localhost:5000/a/b`, once it is there."""
        found = self._ecr.describe_repositories(repositoryNames=[self.name])["repositories"][0]
        return str(found["repositoryUri"])

    def read(self) -> State | None:
        """DescribeRepositories' answer for it, with its "tags", its "lifecyclePolicy" and its "policy"."""
        found = find(self._ecr.describe_repositories, repositoryNames=[self.name])
        if found is None:
            return None
        repository: dict[str, Any] = found["repositories"][0]
        lifecycle = find(self._ecr.get_lifecycle_policy, repositoryName=self.name) or {}
        policy = find(self._ecr.get_repository_policy, repositoryName=self.name) or {}
        tags = self._ecr.list_tags_for_resource(resourceArn=repository["repositoryArn"])["tags"]
        return {
            **repository,
            "tags": {tag["Key"]: tag["Value"] for tag in tags},
            "lifecyclePolicy": json.loads(lifecycle.get("lifecyclePolicyText", "null")),
            "policy": json.loads(policy.get("policyText", "null")),
        }

    def diff(self, state: State) -> list[Change]:
        """All but the encryption. Other tags and other statements of its policy are somebody else's, and stay."""
        wanted: dict[str, Any] = {**_WANTED, "lifecyclePolicy": lifecycle_policy(self._settings)}
        wanted["tags"] = {**state["tags"], **self._tags}
        if self._for_functions:
            wanted["policy"] = _with_lambda(state["policy"])
        return differences(wanted, state)

    def create(self) -> str:
        """Make it, empty. Where another command makes it at this moment, make that one as it is wanted."""
        key = self._settings.kms_key
        encryption = {"encryptionType": "KMS", "kmsKey": key} if key else {"encryptionType": "AES256"}
        tags = [{"Key": key, "Value": value} for key, value in self._tags.items()]
        try:
            self._ecr.create_repository(
                repositoryName=self.name, **_WANTED, encryptionConfiguration=encryption, tags=tags
            )
        except ClientError as error:
            if error_code(error) != "RepositoryAlreadyExistsException":
                raise
        state = self.read()
        return self.update(state, self.diff(state)) if state else ""

    def update(self, state: State, changes: list[Change]) -> str:
        """Put the settings that differ."""
        wanted = {change.member: change.new for change in changes}
        one = {"repositoryName": self.name}
        if wanted.keys() & {"imageTagMutability", "imageTagMutabilityExclusionFilters"}:
            mutability = {name: _WANTED[name] for name in _WANTED if name.startswith("imageTagMutability")}
            self._ecr.put_image_tag_mutability(**one, **mutability)
        if scanning := wanted.get("imageScanningConfiguration"):
            self._ecr.put_image_scanning_configuration(**one, imageScanningConfiguration=scanning)
        if lifecycle := wanted.get("lifecyclePolicy"):
            self._ecr.put_lifecycle_policy(**one, lifecyclePolicyText=json.dumps(lifecycle))
        if policy := wanted.get("policy"):
            self._ecr.set_repository_policy(**one, policyText=json.dumps(policy))
        if "tags" in wanted:
            tags = [{"Key": key, "Value": value} for key, value in self._tags.items()]
            self._ecr.tag_resource(resourceArn=state["repositoryArn"], tags=tags)
        return ""

    def delete(self) -> None:
        """Delete it with its images."""
        self._ecr.delete_repository(repositoryName=self.name, force=True)


def _with_lambda(policy: Mapping[str, Any] | None) -> dict[str, Any]:
    """The repository's policy with a statement that lets Lambda pull; one of that name stays, which may be narrower."""
    found = dict(policy or {"Version": "2012-10-17"})
    statements = found.get("Statement", [])
    statements = statements if isinstance(statements, list) else [statements]
    if any(statement.get("Sid") == LAMBDA_STATEMENT["Sid"] for statement in statements):
        return found
    return {**found, "Statement": [*statements, LAMBDA_STATEMENT]}

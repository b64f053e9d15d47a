"""The bucket that holds the data and the models."""

from collections.abc import Sequence
from typing import Any

from botocore.exceptions import ClientError

from infra import ownership
from infra.ownership import NotOurs
from infra.patience import once_free, once_seen
from infra.resources import objects, titles
from infra.resources.resource import Change, Resource, State, differences, error_code, find, is_missing

_BLOCK_PUBLIC = {
    "BlockPublicAcls": True,
    "IgnorePublicAcls": True,
    "BlockPublicPolicy": True,
    "RestrictPublicBuckets": True,
}


class Bucket(Resource):
    """A bucket in a region, closed to the public, with the tags of the deployment."""

    title = titles.BUCKET
    holds = "its photos and models"

    def __init__(self, s3: Any, name: str, region: str, tags: Sequence[dict[str, str]] = ()) -> None:
        self._s3, self.name, self._region, self._tags = s3, name, region, list(tags)

    def read(self) -> State | None:
        """Its public access block, and its `tags`. Raises NotOurs when somebody else has the name."""
        try:  # not HeadBucket, whose errors have no code: credentials that have expired would look like anything
            listed = self._s3.list_objects_v2(Bucket=self.name, MaxKeys=1)
        except ClientError as error:
            if error_code(error) == "AccessDenied":
                raise self._taken() from None
            if not is_missing(error):
                raise
            return None
        found = find(self._s3.get_public_access_block, Bucket=self.name) or {}
        tags = self._checked_tags(is_empty=not listed.get("Contents"))
        return {**found.get("PublicAccessBlockConfiguration", {}), "tags": tags}

    def diff(self, state: State) -> list[Change]:
        """Each way to the public that is open, and the tags that are missing."""
        found = [tag for tag in state["tags"] if tag in self._tags]
        return [*differences(_BLOCK_PUBLIC, state), *differences({"tags": self._tags}, {"tags": found})]

    def create(self) -> str:
        """Make it, and close it to the public. Raises NotOurs when another account has the name."""
        place = {} if self._region == "us-east-1" else {"LocationConstraint": self._region}
        request = {"Bucket": self.name, **({"CreateBucketConfiguration": place} if place else {})}
        try:
            once_free(lambda: self._s3.create_bucket(**request), "OperationAborted")
        except ClientError as error:
            if error_code(error) == "BucketAlreadyExists":
                raise self._taken() from None
            if error_code(error) != "BucketAlreadyOwnedByYou":  # made at this moment by another deployment
                raise
        return once_seen(lambda: self.update({"tags": []}, []))

    def update(self, state: State, changes: list[Change]) -> str:
        """Close it to the public, and give it its tags besides those that it has."""
        self._s3.put_public_access_block(Bucket=self.name, PublicAccessBlockConfiguration=_BLOCK_PUBLIC)
        if self._tags:
            keys = {tag["Key"] for tag in self._tags}
            tags = [*self._tags, *(tag for tag in state["tags"] if tag["Key"] not in keys)]
            self._s3.put_bucket_tagging(Bucket=self.name, Tagging={"TagSet": tags})
        return ""

    def delete(self) -> None:
        """Delete all objects in it, then the bucket."""
        objects.delete(self._s3, self.name, objects.sizes(self._s3, self.name, ""))
        self._s3.delete_bucket(Bucket=self.name)

    def _checked_tags(self, *, is_empty: bool) -> list[dict[str, str]]:
        """Its tags. A deployment that was cut leaves an empty bucket without tags, which is taken as ours."""
        found = find(self._s3.get_bucket_tagging, Bucket=self.name)
        tags = found["TagSet"] if found else []
        if tags or not is_empty:
            ownership.check(self.title, self.name, tags, self._tags)
        return list(tags)

    def _taken(self) -> NotOurs:
        return NotOurs(
            f"The bucket {self.name} belongs to someone else, or you may not list it.",
            "Choose another --project, or get the right s3:ListBucket.",
        )

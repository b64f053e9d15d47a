"""The bucket that holds the data and the models."""

from typing import Any

from botocore.exceptions import ClientError

from infra.errors import StepFailed
from infra.resources import objects, titles
from infra.resources.resource import Change, Resource, State, differences, error_code, find, is_missing

_BLOCK_PUBLIC = {
    "BlockPublicAcls": True,
    "IgnorePublicAcls": True,
    "BlockPublicPolicy": True,
    "RestrictPublicBuckets": True,
}


class Bucket(Resource):
    """A bucket in a region, closed to the public."""

    title = titles.BUCKET

    def __init__(self, s3: Any, name: str, region: str) -> None:
        self._s3, self.name, self._region = s3, name, region

    def read(self) -> State | None:
        """Its public access block. Raises StepFailed when another account has the name."""
        try:
            self._s3.head_bucket(Bucket=self.name)
        except ClientError as error:
            if error_code(error) == "403":
                raise StepFailed(
                    f"The bucket {self.name} belongs to someone else.", "Choose another --project."
                ) from None
            if not is_missing(error):
                raise
            return None
        found = find(self._s3.get_public_access_block, Bucket=self.name)
        return found["PublicAccessBlockConfiguration"] if found else {}

    def diff(self, state: State) -> list[Change]:
        """Each way to the public that is open."""
        return differences(_BLOCK_PUBLIC, state)

    def create(self) -> str:
        """Make it, and close it to the public."""
        place = {} if self._region == "us-east-1" else {"LocationConstraint": self._region}
        self._s3.create_bucket(Bucket=self.name, **({"CreateBucketConfiguration": place} if place else {}))
        return self.update({}, [])

    def update(self, state: State, changes: list[Change]) -> str:
        """Close it to the public."""
        self._s3.put_public_access_block(Bucket=self.name, PublicAccessBlockConfiguration=_BLOCK_PUBLIC)
        return ""

    def delete(self) -> None:
        """Delete all objects in it, then the bucket."""
        objects.delete(self._s3, self.name, objects.sizes(self._s3, self.name, ""))
        self._s3.delete_bucket(Bucket=self.name)

"""The key pair for ssh to the EC2 host: the user's own public key. The private one never leaves the user's machine."""

from collections.abc import Mapping, Sequence
from typing import Any

from infra.ec2.requests import tag_specifications
from infra.resources import titles
from infra.resources.resource import FixedResource, State


class KeyPair(FixedResource):
    """A key pair of EC2, imported. Its name stands for the key. To read and delete one, it need not be given."""

    title = titles.KEY_PAIR

    def __init__(self, ec2: Any, name: str, public_key: str = "", tags: Sequence[Mapping[str, str]] = ()) -> None:
        self._ec2, self.name, self._public_key, self._tags = ec2, name, public_key, tags

    def read(self) -> State | None:
        """DescribeKeyPairs' answer for it, or None."""
        by_name = [{"Name": "key-name", "Values": [self.name]}]
        found = self._ec2.describe_key_pairs(Filters=by_name)["KeyPairs"]
        return found[0] if found else None

    def create(self) -> str:
        """Import the public key."""
        self._ec2.import_key_pair(
            KeyName=self.name,
            PublicKeyMaterial=self._public_key.encode(),
            TagSpecifications=tag_specifications("key-pair", self._tags),
        )
        return ""

    def delete(self) -> None:
        """Delete it. Instances that have it keep it."""
        self._ec2.delete_key_pair(KeyName=self.name)

"""The instance profile: how an EC2 instance gets the credentials of a role."""

from collections.abc import Sequence
from typing import Any

from infra import ownership
from infra.resources import titles
from infra.resources.resource import Change, Resource, State, differences, find


class InstanceProfile(Resource):
    """An instance profile with one role. Both have the same name."""

    title = titles.INSTANCE_PROFILE
    depends_on = (titles.EC2_ROLE,)

    def __init__(self, iam: Any, name: str, tags: Sequence[dict[str, str]]) -> None:
        self._iam, self.name, self._tags = iam, name, list(tags)

    def read(self) -> State | None:
        """The names of its `roles`: one at most. Raises NotOurs when somebody else has made one of that name."""
        found = find(self._iam.get_instance_profile, InstanceProfileName=self.name)
        if found is None:
            return None
        profile = found["InstanceProfile"]
        ownership.check(self.title, self.name, profile.get("Tags", []), self._tags)
        return {"roles": [role["RoleName"] for role in profile["Roles"]]}

    def diff(self, state: State) -> list[Change]:
        """Its role."""
        return differences({"roles": [self.name]}, state)

    def create(self) -> str:
        """Make it, and put the role into it."""
        self._iam.create_instance_profile(InstanceProfileName=self.name, Tags=self._tags)
        return self.update({"roles": []}, [])

    def update(self, state: State, changes: list[Change]) -> str:
        """Put the role into it in place of another."""
        self._empty(state)
        self._iam.add_role_to_instance_profile(InstanceProfileName=self.name, RoleName=self.name)
        return ""

    def delete(self) -> None:
        """Take the role out of it, and delete it."""
        self._empty(self.read() or {"roles": []})
        self._iam.delete_instance_profile(InstanceProfileName=self.name)

    def _empty(self, state: State) -> None:
        for role in state["roles"]:
            self._iam.remove_role_from_instance_profile(InstanceProfileName=self.name, RoleName=role)

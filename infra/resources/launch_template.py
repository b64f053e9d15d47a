"""The launch template of the EC2 host: all that an instance of it is, so that one can also be launched by hand."""

import hashlib
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from infra import ownership
from infra.ec2.requests import tag_specifications
from infra.resources import titles
from infra.resources.resource import Change, Resource, State

_NEVER_ADDED = ("KmsKeyId",)  # members that AWS has only where somebody has set them


class LaunchTemplate(Resource):
    """A launch template whose default version is `data` with the security group whose id `group` tells, None while
    there is none. Each change makes a version; the older ones stay until it is deleted."""

    title = titles.LAUNCH_TEMPLATE
    depends_on = (titles.INSTANCE_PROFILE, titles.SECURITY_GROUP, titles.KEY_PAIR)

    def __init__(
        self,
        ec2: Any,
        name: str,
        data: Mapping[str, Any],
        group: Callable[[], str | None],
        tags: Sequence[Mapping[str, str]],
    ) -> None:
        self._ec2, self.name, self._data, self._group, self._tags = ec2, name, data, group, tags

    def read(self) -> State | None:
        """The template's `id`, and the default version's LaunchTemplateData as it is `found` and as it is `wanted` now.
        Raises NotOurs when somebody else has made a template of that name."""
        by_name = [{"Name": "launch-template-name", "Values": [self.name]}]
        templates = self._ec2.describe_launch_templates(Filters=by_name)["LaunchTemplates"]
        if not templates:
            return None
        ownership.check(self.title, self.name, templates[0].get("Tags", []), self._tags)
        found = self._ec2.describe_launch_template_versions(LaunchTemplateName=self.name, Versions=["$Default"])
        return {
            "id": templates[0]["LaunchTemplateId"],
            "found": found["LaunchTemplateVersions"][0]["LaunchTemplateData"],
            "wanted": self._wanted(),
        }

    def diff(self, state: State) -> list[Change]:
        """By member. AWS adds members of its own to some, which are not looked at."""
        found, wanted = state["found"], state["wanted"]
        return [
            Change(member, _shown(member, found.get(member)), _shown(member, wanted.get(member)))
            for member in {**wanted, **found}
            if not _covers(found.get(member), wanted.get(member))
        ]

    def create(self) -> str:
        """Make it with its first version."""
        self._ec2.create_launch_template(
            LaunchTemplateName=self.name,
            LaunchTemplateData=self._wanted(),
            TagSpecifications=tag_specifications("launch-template", self._tags),
        )
        return ""

    def update(self, state: State, changes: list[Change]) -> str:
        """Make a version, and make it the default."""
        made = self._ec2.create_launch_template_version(LaunchTemplateName=self.name, LaunchTemplateData=self._wanted())
        number = made["LaunchTemplateVersion"]["VersionNumber"]
        # By its id: LocalStack knows no template by its name here.
        self._ec2.modify_launch_template(LaunchTemplateId=state["id"], DefaultVersion=str(number))
        return f"version {number}"

    def delete(self) -> None:
        """Delete it with all its versions."""
        self._ec2.delete_launch_template(LaunchTemplateName=self.name)

    def _wanted(self) -> dict[str, Any]:
        """The data with the security group, whose id AWS chooses when it is made."""
        group = self._group()
        return {**self._data, **({"SecurityGroupIds": [group]} if group else {})}


def _covers(found: Any, wanted: Any) -> bool:
    """Whether `found` has all that `wanted` has, and nothing else that AWS does not add."""
    if isinstance(wanted, Mapping) and isinstance(found, Mapping):
        members = {**{key: None for key in _NEVER_ADDED if key in found}, **wanted}
        return all(_covers(found.get(key), value) for key, value in members.items())
    if isinstance(wanted, list) and isinstance(found, list):
        return len(found) == len(wanted) and all(map(_covers, found, wanted))
    return bool(found == wanted)


def _shown(member: str, value: Any) -> Any:
    """User data is long: its digest says that it is another."""
    if member == "UserData" and isinstance(value, str):
        return f"SHA-256 {hashlib.sha256(value.encode()).hexdigest()[:12]}"
    return value

"""The instance profile of the EC2 host has one role, that of its name."""

from typing import Any

import pytest

from infra.ownership import NotOurs
from infra.resources.instance_profile import InstanceProfile
from tests.unit.infra.aws_shapes import check
from tests.unit.infra.fakes import FakeClient, missing

NAME = "dogs-ec2-us-east-1"
TAGS = [{"Key": "stagemaker:project", "Value": "dogs"}]


def profile(*roles: str, tags: list[dict[str, str]] = TAGS) -> tuple[FakeClient, InstanceProfile]:
    found = {"InstanceProfile": {"Roles": [{"RoleName": role} for role in roles], "Tags": tags}}
    client = FakeClient({"get_instance_profile": found})
    return client, InstanceProfile(client, NAME, TAGS)


def changing(client: FakeClient) -> list[tuple[str, dict[str, Any]]]:
    return [call for call in client.calls if not call[0].startswith("get")]


def test_a_new_one_gets_its_role_and_tags() -> None:
    client = FakeClient({"get_instance_profile": missing("NoSuchEntity")})
    one = InstanceProfile(client, NAME, TAGS)
    assert one.read() is None
    one.create()
    assert changing(client) == [
        ("create_instance_profile", {"InstanceProfileName": NAME, "Tags": TAGS}),
        ("add_role_to_instance_profile", {"InstanceProfileName": NAME, "RoleName": NAME}),
    ]
    check("iam", "CreateInstanceProfile", client.calls[1][1])


def test_one_with_its_role_is_as_wanted() -> None:
    _, one = profile(NAME)
    state = one.read()
    assert state is not None
    assert one.diff(state) == []


@pytest.mark.parametrize("roles", [(), ("administrators",)])
def test_another_role_makes_way_for_its_own_since_a_profile_has_one(roles: tuple[str, ...]) -> None:
    client, one = profile(*roles)
    state = one.read()
    assert state is not None
    one.update(state, one.diff(state))
    assert [name for name, _ in changing(client)] == [
        *["remove_role_from_instance_profile"] * len(roles), "add_role_to_instance_profile",
    ]  # fmt: skip


def test_it_is_emptied_before_it_is_deleted() -> None:
    client, one = profile(NAME)
    one.delete()
    assert [name for name, _ in changing(client)] == ["remove_role_from_instance_profile", "delete_instance_profile"]


def test_one_of_somebody_else_is_never_changed() -> None:
    with pytest.raises(NotOurs, match="is not of the project dogs"):
        profile(NAME, tags=[])[1].read()

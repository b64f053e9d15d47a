import json
from typing import Any

import pytest

from infra.network.requests import Vpc
from infra.resources.s3_endpoint import S3Endpoint
from tests.unit.infra.aws_shapes import check
from tests.unit.infra.fakes import FakeClient

POLICY = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Principal": "*", "Action": "s3:Get*"}]}
TAGS = [{"Key": "stagemaker:project", "Value": "dogs"}]


def there(**members: Any) -> dict[str, Any]:
    return {
        "VpcEndpointId": "vpce-1", "VpcEndpointType": "Gateway", "State": "available", "Tags": TAGS,
        "RouteTableIds": ["rtb-1", "rtb-2"], "PolicyDocument": json.dumps(POLICY), **members,
    }  # fmt: skip


def endpoint(*found: dict[str, Any], tables: tuple[str, ...] = ("rtb-1", "rtb-2")) -> tuple[FakeClient, S3Endpoint]:
    client = FakeClient({"describe_vpc_endpoints": {"VpcEndpoints": list(found)}})
    return client, S3Endpoint(client, "eu-west-1", Vpc("vpc-1", ("subnet-1",), tables), POLICY, TAGS)


def test_a_new_one_has_its_policy_route_tables_and_tags() -> None:
    client, one = endpoint()
    assert one.read() is None
    one.create()
    name, members = client.calls[-1]
    assert name == "create_vpc_endpoint"
    assert (members["ServiceName"], members["RouteTableIds"]) == ("com.amazonaws.eu-west-1.s3", ["rtb-1", "rtb-2"])
    check("ec2", "CreateVpcEndpoint", members)


def test_one_that_is_as_wanted() -> None:
    _, one = endpoint(there(State="deleted", RouteTableIds=[]), there(RouteTableIds=["rtb-2", "rtb-1"]))
    state = one.read()
    assert state is not None
    assert one.diff(state) == []
    assert one.remark(state) == ""


def test_another_policy_is_put_and_for_other_route_tables_it_is_made_anew() -> None:
    client, one = endpoint(there(PolicyDocument=json.dumps({"Statement": []})))
    state = one.read()
    assert state is not None
    (change,) = one.diff(state)
    assert (change.member, change.replaces) == ("policy", False)
    one.update(state, [change])
    check("ec2", "ModifyVpcEndpoint", client.calls[-1][1])
    assert json.loads(client.calls[-1][1]["PolicyDocument"]) == POLICY
    _, other = endpoint(there(), tables=("rtb-1",))
    state = other.read()
    assert state is not None
    assert [(one.member, one.replaces) for one in other.diff(state)] == [("route tables", True)]


@pytest.mark.parametrize("tags", [[], [{"Key": "stagemaker:project", "Value": "cats"}]])
def test_one_of_somebody_else_is_never_changed_or_deleted(tags: list[dict[str, str]]) -> None:
    client, one = endpoint(there(Tags=tags, PolicyDocument="{}"))
    state = one.read()
    assert state is not None
    assert one.diff(state) == []
    assert "vpce-1 is there, and not this project's" in one.remark(state)
    one.delete()
    assert set(client.names()) == {"describe_vpc_endpoints"}


def test_one_of_somebody_else_in_fewer_route_tables_does_not_serve() -> None:
    _, one = endpoint(there(Tags=[], RouteTableIds=["rtb-1"]))
    assert one.read() is None

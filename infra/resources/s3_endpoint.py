"""The gateway endpoint by which what runs in a VPC reaches S3 without the internet."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from infra.blueprint import PROJECT_TAG
from infra.network.requests import Vpc
from infra.resources import titles
from infra.resources.resource import Change, Resource, State

THERE = ("pending", "available")  # EC2 may list one that is deleted


class S3Endpoint(Resource):
    """The gateway endpoint of S3 in the route tables of the VPC's subnets, with the policy. Where somebody else's is in
    all of these route tables that one is used: a route table takes one only."""

    title = titles.S3_ENDPOINT

    def __init__(
        self, ec2: Any, region: str, vpc: Vpc, policy: Mapping[str, Any], tags: Sequence[Mapping[str, str]]
    ) -> None:
        self._ec2, self._vpc, self._policy, self._tags = ec2, vpc, policy, list(tags)
        self._service = f"com.amazonaws.{region}.s3"
        self.name = f"S3 in {vpc.id}"

    def read(self) -> State | None:
        """Of the project's own: its `id`, `route_tables` and the statements of its `policy`. Of somebody else's that
        serves all its route tables: its `id` as `theirs`."""
        filters = [{"Name": "vpc-id", "Values": [self._vpc.id]}, {"Name": "service-name", "Values": [self._service]}]
        found = [
            one
            for one in self._ec2.describe_vpc_endpoints(Filters=filters)["VpcEndpoints"]
            if one.get("VpcEndpointType", "Gateway") == "Gateway" and one["State"].lower() in THERE
        ]
        for one in found:
            if self._is_ours(one):
                statements = json.loads(one["PolicyDocument"])["Statement"]
                return {"id": one["VpcEndpointId"], "route_tables": sorted(one["RouteTableIds"]), "policy": statements}
        for one in found:
            if self._vpc.route_tables and set(self._vpc.route_tables) <= set(one["RouteTableIds"]):
                return {"theirs": one["VpcEndpointId"]}
        return None

    def diff(self, state: State) -> list[Change]:
        """Its route tables, for which it is made anew, and its policy; nothing of somebody else's."""
        if "theirs" in state:
            return []
        wanted, found = list(self._vpc.route_tables), state["route_tables"]
        tables = [] if wanted == found else [Change("route tables", found, wanted, replaces=True)]
        statements = self._policy["Statement"]
        return [*tables, *([] if state["policy"] == statements else [Change("policy", state["policy"], statements)])]

    def create(self) -> str:
        """Make it, usable at once."""
        self._ec2.create_vpc_endpoint(
            VpcEndpointType="Gateway",
            VpcId=self._vpc.id,
            ServiceName=self._service,
            RouteTableIds=list(self._vpc.route_tables),
            PolicyDocument=json.dumps(self._policy),
            TagSpecifications=[{"ResourceType": "vpc-endpoint", "Tags": self._tags}],
        )
        return ""

    def update(self, state: State, changes: list[Change]) -> str:
        """Put its policy."""
        self._ec2.modify_vpc_endpoint(VpcEndpointId=state["id"], PolicyDocument=json.dumps(self._policy))
        return ""

    def delete(self) -> None:
        """Delete it, when it is the project's own."""
        state = self.read()
        if state and "id" in state:
            self._ec2.delete_vpc_endpoints(VpcEndpointIds=[state["id"]])

    def remark(self, state: State) -> str:
        """That it is somebody else's, whose policy must let the bucket through."""
        return f"{state['theirs']} is there, and not this project's: its policy decides" if "theirs" in state else ""

    def _is_ours(self, endpoint: Mapping[str, Any]) -> bool:
        ours = next(tag for tag in self._tags if tag["Key"] == PROJECT_TAG)
        return ours in endpoint.get("Tags", [])

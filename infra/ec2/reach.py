"""Which subnets a host can train in: those from which it reaches ECR and S3. Pure.

It needs the internet, by a NAT gateway or by a public address of its own, or else the VPC's endpoints of ECR and S3
(https://docs.aws.amazon.com/AmazonECR/latest/userguide/vpc-endpoints.html).
"""

from collections.abc import Mapping, Sequence
from typing import Any

_EVERYWHERE = "0.0.0.0/0"
_INTERFACES = ("ecr.api", "ecr.dkr")

Described = Mapping[str, Any]  # as EC2 tells it


def why_closed(subnet: Described, tables: Sequence[Described], endpoints: Sequence[Described], *, gets_s3: bool) -> str:
    """Why a host in the subnet would reach neither ECR nor S3; empty where it would. `tables` and `endpoints` are those
    of its VPC; `gets_s3` says that its route table gets the gateway endpoint of S3."""
    table = _table_of(subnet["SubnetId"], tables)
    way = next((one for one in table.get("Routes", ()) if one.get("DestinationCidrBlock") == _EVERYWHERE), None)
    if way and way.get("State") == "active":
        needs_address = way.get("GatewayId", "").startswith("igw-")
        if not needs_address or subnet.get("MapPublicIpOnLaunch"):
            return ""
    usable = [one for one in endpoints if one["State"].lower() == "available"]
    private = {one["ServiceName"] for one in usable if one.get("PrivateDnsEnabled")}
    lacking = [name for name in _INTERFACES if not any(service.endswith(f".{name}") for service in private)]
    has_s3 = any(
        one["ServiceName"].endswith(".s3") and table["RouteTableId"] in one.get("RouteTableIds", ()) for one in usable
    )
    lacking += [] if gets_s3 or has_s3 else ["s3"]
    if not lacking:
        return ""
    outside = "it gives no public address" if way else "it has no route to the internet"
    return f"{outside}, and no endpoint of {' and '.join(lacking)}"


def _table_of(subnet: str, tables: Sequence[Described]) -> Described:
    """The route table that is associated with the subnet, else the VPC's main one."""
    links = [(link, table) for table in tables for link in table["Associations"]]
    own = (table for link, table in links if link.get("SubnetId") == subnet)
    main = (table for link, table in links if link.get("Main"))
    return next(own, None) or next(main)

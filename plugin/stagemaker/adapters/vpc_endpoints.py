"""The gateway endpoints of VPCs, read where moto's EC2 keeps them: a change acts on the next call.

Moto is imported when somebody first asks for EC2: before, there are no VPCs.
"""

import sys
from collections.abc import Iterator
from typing import Any

from stagemaker.access.call import VpcEndpoint

_GATEWAY = "Gateway"  # the type of an endpoint that none was given for
_AVAILABLE = "available"


def s3_gateway(subnet: str) -> VpcEndpoint | None:
    """The one that requests from the subnet with this id reach S3 through: that of its VPC which is in its route table.

    AWS source: "Gateway endpoints", https://docs.aws.amazon.com/vpc/latest/privatelink/gateway-endpoints.html."""
    for backend in _backends():
        for zone in list(backend.subnets.values()):
            if subnet in zone:
                return _gateway_of(backend, subnet, zone[subnet].vpc_id)
    return None


def _gateway_of(backend: Any, subnet: str, vpc_id: str) -> VpcEndpoint | None:
    table, service = _route_table(backend, subnet, vpc_id), f"com.amazonaws.{backend.region_name}.s3"
    for each in list(backend.vpc_end_points.values()):
        is_gateway = (each.vpc_endpoint_type or _GATEWAY) == _GATEWAY and each.service_name == service
        if is_gateway and each.state == _AVAILABLE and each.vpc_id == vpc_id and table in each.route_table_ids:
            return VpcEndpoint(each.id, vpc_id, each.policy_document)
    return None


def _route_table(backend: Any, subnet: str, vpc_id: str) -> str | None:
    """The id of the one that the subnet is associated with, or else of the VPC's main one."""
    tables = [table for table in list(backend.route_tables.values()) if table.vpc_id == vpc_id]
    associated = (table.id for table in tables if subnet in list(table.associations.values()))
    main = (table.id for table in tables if table.main_association_id is not None)
    return next(associated, None) or next(main, None)


def _backends() -> Iterator[Any]:
    """Moto's EC2 of each account and region that has been asked for."""
    module: Any = sys.modules.get("moto.ec2.models")
    backends = getattr(module, "ec2_backends", None)  # a module that is being imported has none yet
    for regions in list(dict.values(backends or {})):
        yield from list(dict.values(regions))

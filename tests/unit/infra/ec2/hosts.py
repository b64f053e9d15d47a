"""A run on an EC2 host as AWS tells of it: the instance's states, the objects in S3, and the routes of its subnet."""

import io
import json
import tarfile
from collections.abc import Mapping
from typing import Any

from infra.ec2.outcome import location
from infra.ec2.requests import RUN_TAG
from tests.unit.infra.ec2.host_machine import INSTANCE, RUN
from tests.unit.infra.fakes import FakeClient, missing

LOG = f"{RUN.results}/{INSTANCE}/host.log"
RESULT = f"{RUN.results}/{INSTANCE}/result.json"
COMPLETED_RESULT = f"{RUN.results}/result.json"
MODEL = f"{RUN.results}/output/model.tar.gz"


def result(status: str = "Completed", **members: Any) -> bytes:
    """The object result.json as host.sh writes it."""
    found = {
        "status": status, "instance_id": INSTANCE, "life_cycle": "on-demand", "gpu": False, "training_s": 30,
        "host_s": 90,
    }  # fmt: skip
    return json.dumps({**found, **members}).encode()


def archive(**files: bytes) -> bytes:
    """A model.tar.gz, with names in which a double underscore stands for a point."""
    content = io.BytesIO()
    with tarfile.open(fileobj=content, mode="w:gz") as tar:
        for name, data in files.items():
            member = tarfile.TarInfo(name.replace("__", "."))
            member.size = len(data)
            tar.addfile(member, io.BytesIO(data))
    return content.getvalue()


def s3(objects: Mapping[str, bytes]) -> FakeClient:
    """S3 with these objects, by their URIs: what is put into the mapping later is there from then on."""

    def find(bucket: str, key: str) -> bytes:
        uri = f"s3://{bucket}/{key}"
        assert location(uri) == {"Bucket": bucket, "Key": key}
        if uri not in objects:
            raise missing("NoSuchKey")
        return objects[uri]

    def get(Bucket: str, Key: str, Range: str = "bytes=0-") -> dict[str, Any]:
        begin = int(Range.removeprefix("bytes=").removesuffix("-"))
        return {"Body": io.BytesIO(find(Bucket, Key)[begin:])}

    def head(Bucket: str, Key: str) -> dict[str, Any]:
        return {"ContentLength": len(find(Bucket, Key))}

    def listed(Bucket: str, Prefix: str, **_: Any) -> dict[str, Any]:
        begin = f"s3://{Bucket}/"
        keys = sorted(uri.removeprefix(begin) for uri in objects if uri.startswith(f"{begin}{Prefix}"))
        found = [{"Key": key, "LastModified": second, "Size": 0} for second, key in enumerate(keys)]
        return {"Contents": found} if found else {}

    return FakeClient({"get_object": get, "head_object": head, "list_objects_v2": listed})


def instance(state: str, reason: str = "", run: str = RUN.name) -> dict[str, Any]:
    """An instance of the run as DescribeInstances tells of it."""
    tags = [{"Key": "stagemaker:project", "Value": "demo"}, {"Key": RUN_TAG, "Value": run}]
    told = {"InstanceId": INSTANCE, "State": {"Name": state}, "Tags": tags}
    return {**told, "StateReason": {"Code": "Client.X", "Message": reason}} if reason else told


def described(*instances: Mapping[str, Any]) -> dict[str, Any]:
    """DescribeInstances' answer."""
    return {"Reservations": [{"Instances": [one]} for one in instances]}


def route_table(name: str, way: dict[str, str], **link: Any) -> dict[str, Any]:
    """A route table with this way to the internet."""
    local = {"DestinationCidrBlock": "10.0.0.0/16", "GatewayId": "local", "State": "active"}
    everywhere = [{"DestinationCidrBlock": "0.0.0.0/0", "State": "active", **way}] if way else []
    return {"RouteTableId": name, "Associations": [link], "Routes": [local, *everywhere]}

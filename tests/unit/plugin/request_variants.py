"""Requests made of AWS's newest model: a given one with one more of the members that it may have, for every member."""

import gzip
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from botocore.model import ListShape, MapShape, ServiceModel, Shape, StructureShape

import stagemaker
from stagemaker.api.validation import violations
from tests.unit.plugin.fakes import ROLE

MODEL = Path(stagemaker.__file__).parent / "service_models" / "sagemaker" / "2017-07-24" / "service-2.json.gz"
# Of these texts a member gets the first that its shape takes.
TEXTS = (
    "a1",
    "s3://bucket/in/x",
    ROLE,
    "/opt/ml/processing/x",
    "1",
    "subnet-1",
    "arn:aws:sns:eu-west-1:123456789012:t",
)
NAMED = {  # texts for members whose shape takes any
    "S3Uri": "s3://bucket/in/x",
    "S3OutputPath": "s3://bucket/out",
    "DestinationS3Uri": "s3://bucket/captured",
    "LocalPath": "/opt/ml/processing/x",
    "Regex": "a(.*)",
}
PREFERRED = ("ml.m5.large", "S3Prefix", "File", "None", "Platform", "RANDOM")  # of enums; else the first


def input_shape(operation: str) -> StructureShape:
    """Of an operation of SageMaker."""
    model = ServiceModel(json.loads(gzip.decompress(MODEL.read_bytes())), "sagemaker")
    shape = model.operation_model(operation).input_shape
    assert isinstance(shape, StructureShape)
    return shape


def smallest(shape: Shape, name: str = "") -> Any:
    """The smallest value that the shape takes; a flag is set."""
    if isinstance(shape, StructureShape):
        return {member: smallest(shape.members[member], member) for member in shape.required_members}
    if isinstance(shape, ListShape):
        return [smallest(shape.member, name) for _ in range(max(1, shape.metadata.get("min", 1)))]
    if isinstance(shape, MapShape):
        return {smallest(shape.key): smallest(shape.value)}
    if shape.type_name == "string":
        choices = shape.metadata.get("enum")
        if choices:
            return next((each for each in PREFERRED if each in choices), choices[0])
        return NAMED.get(name) or next((text for text in TEXTS if not list(violations(shape, text))), TEXTS[0])
    least = {"boolean": True, "float": 1.0, "double": 1.0, "timestamp": 1.0}
    return least.get(shape.type_name, max(1, shape.metadata.get("min", 1)))


def with_one_more(shape: Shape, value: Any) -> Iterator[tuple[str, Any]]:
    """Path and value for each member that `value` lacks. An empty structure asks for nothing: only what may be in it is
    given."""
    if isinstance(shape, StructureShape) and isinstance(value, Mapping):
        for name, member in shape.members.items():
            if name in value:
                below = value[name]
            elif below := smallest(member, name):
                yield name, {**value, name: below}
            for path, inner in with_one_more(member, below):
                yield f"{name}.{path}", {**value, name: inner}
    elif isinstance(shape, ListShape) and isinstance(value, list) and value:
        for path, inner in with_one_more(shape.member, value[0]):
            yield path, [inner, *value[1:]]

"""CreateTrainingJob requests for the tests, and changes to their parts."""

from typing import Any

from tests.unit.plugin.fakes import ROLE


def channel(name: str = "train", uri: str = "s3://bucket/train", **more: Any) -> dict[str, Any]:
    source = {"S3DataType": "S3Prefix", "S3Uri": uri, **more.pop("source", {})}
    return {"ChannelName": name, "DataSource": {"S3DataSource": source}, **more}


def request(**changes: Any) -> dict[str, Any]:
    return {
        "TrainingJobName": "job",
        "RoleArn": ROLE,
        "AlgorithmSpecification": {"TrainingImage": "stagemaker/trainer:1", "TrainingInputMode": "File"},
        "InputDataConfig": [channel()],
        "OutputDataConfig": {"S3OutputPath": "s3://bucket/out/"},
        "ResourceConfig": {"InstanceType": "ml.m5.large", "InstanceCount": 1, "VolumeSizeInGB": 10},
        **changes,
    }


def algorithm(**changes: Any) -> dict[str, Any]:
    return {"AlgorithmSpecification": {**request()["AlgorithmSpecification"], **changes}}


def resources(**changes: Any) -> dict[str, Any]:
    return {"ResourceConfig": {**request()["ResourceConfig"], **changes}}


def instances(count: int, **changes: Any) -> dict[str, Any]:
    return {**resources(InstanceCount=count), **changes}


def groups(*given: tuple[Any, ...]) -> dict[str, Any]:
    """Each group: name, number of instances, and the instance type if it is another than ml.m5.large."""
    members = ("InstanceGroupName", "InstanceCount", "InstanceType")
    found = [dict(zip(members, (*group, "ml.m5.large")[:3], strict=True)) for group in given]
    return {"ResourceConfig": {"InstanceGroups": found, "VolumeSizeInGB": 10}}


def hosts(count: int) -> list[str]:
    return [f"algo-{number}" for number in range(1, count + 1)]

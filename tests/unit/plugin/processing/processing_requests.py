"""CreateProcessingJob requests for the tests, and changes to their parts."""

from typing import Any

from tests.unit.plugin.fakes import ROLE

INPUT, OUTPUT = "/opt/ml/processing/input", "/opt/ml/processing/output"


def source(name: str = "train", uri: str = "s3://bucket/train", path: str = INPUT, **more: Any) -> dict[str, Any]:
    s3 = {"S3Uri": uri, "LocalPath": path, "S3DataType": "S3Prefix", "S3InputMode": "File", **more}
    return {"InputName": name, "S3Input": s3}


def output(name: str = "out", uri: str = "s3://bucket/out", path: str = OUTPUT, **more: Any) -> dict[str, Any]:
    return {"OutputName": name, "S3Output": {"S3Uri": uri, "LocalPath": path, "S3UploadMode": "EndOfJob", **more}}


def cluster(**changes: Any) -> dict[str, Any]:
    given = {"InstanceCount": 1, "InstanceType": "ml.m5.large", "VolumeSizeInGB": 10, **changes}
    return {"ProcessingResources": {"ClusterConfig": given}}


def request(**changes: Any) -> dict[str, Any]:
    return {
        "ProcessingJobName": "job",
        "RoleArn": ROLE,
        "AppSpecification": {"ImageUri": "stagemaker/program:1"},
        "ProcessingInputs": [source()],
        "ProcessingOutputConfig": {"Outputs": [output()]},
        **cluster(),
        **changes,
    }

"""CreateTransformJob requests for the tests."""

from typing import Any


def transform_input(uri: str = "s3://bucket/in/", **more: Any) -> dict[str, Any]:
    return {"TransformInput": {"DataSource": {"S3DataSource": {"S3DataType": "S3Prefix", "S3Uri": uri}}, **more}}


def transform_output(**more: Any) -> dict[str, Any]:
    return {"TransformOutput": {"S3OutputPath": "s3://bucket/out", **more}}


def request(**changes: Any) -> dict[str, Any]:
    return {
        "TransformJobName": "job",
        "ModelName": "model",
        **transform_input(),
        **transform_output(),
        "TransformResources": {"InstanceType": "ml.m5.large", "InstanceCount": 1},
        **changes,
    }

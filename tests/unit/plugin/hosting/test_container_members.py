"""Every member of a container that CreateModel can be given works, is refused by its name, or is recorded as docs say.

The members are those of the newest model of AWS's that the plugin reads requests by: a new one fails this test.
"""

import gzip
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from botocore.model import ServiceModel, StructureShape

import stagemaker
from stagemaker.core.errors import ApiError
from tests.unit.plugin.fakes import ROLE, SCOPE, FakeClock
from tests.unit.plugin.hosting_environment import DATA, IMAGE, HostingEnvironment

MODEL = Path(stagemaker.__file__).parent / "service_models" / "sagemaker" / "2017-07-24" / "service-2.json.gz"
S3: dict[str, Any] = {"S3Uri": "s3://bucket/model.tar.gz", "S3DataType": "S3Object", "CompressionType": "Gzip"}
# What works, and which test of what runs says so.
WORKS = {
    "ContainerHostname": "test_pipelines.py",
    "Image": "test_models.py",
    "ImageConfig": "Platform is every registry that there is",
    "ImageConfig.RepositoryAccessMode": "Platform; Vpc is refused",
    "Mode": "test_multi_model.py",
    "ModelDataUrl": "test_endpoints.py",
    "ModelDataSource": "test_layout.py",
    "ModelDataSource.S3DataSource": "test_layout.py",
    "ModelDataSource.S3DataSource.S3Uri": "test_layout.py",
    "ModelDataSource.S3DataSource.S3DataType": "test_layout.py",
    "ModelDataSource.S3DataSource.CompressionType": "test_layout.py",
    "Environment": "test_pipelines.py",
    "MultiModelConfig": "test_multi_model.py",
    "MultiModelConfig.ModelCacheSetting": "test_model_cache.py",
}
RECORDED = {
    "ModelDataSource.S3DataSource.ModelAccessConfig",
    "ModelDataSource.S3DataSource.ModelAccessConfig.AcceptEula",
}
REFUSED: dict[str, dict[str, Any]] = {
    "ImageConfig.RepositoryAuthConfig": {
        "ImageConfig": {
            "RepositoryAccessMode": "Platform",
            "RepositoryAuthConfig": {"RepositoryCredentialsProviderArn": "arn:aws:lambda:eu-west-1:1:function:f"},
        }
    },
    "ModelDataSource.S3DataSource.HubAccessConfig": {
        "ModelDataSource": {"S3DataSource": {**S3, "HubAccessConfig": {"HubContentArn": "arn"}}}
    },
    "ModelDataSource.S3DataSource.ManifestS3Uri": {
        "ModelDataSource": {"S3DataSource": {**S3, "ManifestS3Uri": "s3://bucket/manifest"}}
    },
    "ModelDataSource.S3DataSource.ETag": {"ModelDataSource": {"S3DataSource": {**S3, "ETag": "1"}}},
    "ModelDataSource.S3DataSource.ManifestEtag": {"ModelDataSource": {"S3DataSource": {**S3, "ManifestEtag": "1"}}},
    "AdditionalModelDataSources": {
        "AdditionalModelDataSources": [{"ChannelName": "draft", "S3DataSource": {**S3}}],
    },
    "ModelPackageName": {"ModelPackageName": "package"},
    "InferenceSpecificationName": {"InferenceSpecificationName": "specification"},
    "ContainerMetricsConfig": {"ContainerMetricsConfig": {"MetricsEndpoints": [{"MetricsEndpointPath": "/metrics"}]}},
}


def members(shape: StructureShape, path: str = "") -> Iterator[str]:
    """The paths of all members; what lies below one that is refused is refused with it."""
    for name, member in shape.members.items():
        yield f"{path}{name}"
        if isinstance(member, StructureShape) and f"{path}{name}" not in REFUSED:
            yield from members(member, f"{path}{name}.")


@pytest.fixture
def hosting(tmp_path: Path) -> HostingEnvironment:
    return HostingEnvironment(tmp_path, FakeClock(), {})


def test_every_member_is_known() -> None:
    model = ServiceModel(json.loads(gzip.decompress(MODEL.read_bytes())), "sagemaker")
    shape = model.shape_for("ContainerDefinition")
    assert isinstance(shape, StructureShape)
    assert set(members(shape)) == WORKS.keys() | RECORDED | REFUSED.keys()


@pytest.mark.parametrize("member", REFUSED)
@pytest.mark.parametrize("kind", ["PrimaryContainer", "Containers"])
def test_what_does_not_work_is_refused_by_its_name(hosting: HostingEnvironment, member: str, kind: str) -> None:
    container = {"Image": IMAGE, **REFUSED[member]}
    given = container if kind == "PrimaryContainer" else [{"Image": IMAGE}, container]
    with pytest.raises(ApiError) as error:
        hosting.models.create_model(SCOPE, {"ModelName": "m", "ExecutionRoleArn": ROLE, kind: given})
    assert error.value.status == 501
    assert member.split(".")[-1] in error.value.message or member.split(".")[0] in error.value.message


def test_what_is_recorded_is_described_as_it_was_given(hosting: HostingEnvironment) -> None:
    source = {"S3DataSource": {**S3, "S3Uri": DATA, "ModelAccessConfig": {"AcceptEula": True}}}
    container = {"Image": IMAGE, "ModelDataSource": source}
    hosting.models.create_model(SCOPE, {"ModelName": "m", "ExecutionRoleArn": ROLE, "PrimaryContainer": container})
    assert hosting.models.describe_model(SCOPE, {"ModelName": "m"})["PrimaryContainer"] == container

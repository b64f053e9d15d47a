"""From records to a fleet, compared as values."""

from pathlib import Path
from typing import Any

import pytest

from stagemaker.core.errors import ApiError
from stagemaker.hosting.layout import HEALTH_TIMEOUT_S, FleetLayout, ModelSource, lay_out_fleet, model_source
from stagemaker.runtime.contract import ContainerSpec, Mount

MODELS: dict[str, dict[str, Any]] = {
    "dogs": {
        "PrimaryContainer": {
            "Image": "stagemaker/serve",
            "ModelDataUrl": "s3://b/m.tar.gz",
            "Environment": {"A": "1"},
        },
        "ExecutionRoleArn": "r",
        "EnableNetworkIsolation": False,
    },
    "cats": {
        "PrimaryContainer": {"Image": "stagemaker/other"},
        "ExecutionRoleArn": "s",
        "EnableNetworkIsolation": True,
    },
}
CONFIG = {
    "EndpointConfigName": "config",
    "ProductionVariants": [
        {
            "VariantName": "one",
            "ModelName": "dogs",
            "InstanceType": "ml.g5.xlarge",
            "InitialInstanceCount": 2,
            "InitialVariantWeight": 3.0,
            "VolumeSizeInGB": 1,
            "ContainerStartupHealthCheckTimeoutInSeconds": 60,
            "RoutingConfig": {"RoutingStrategy": "LEAST_OUTSTANDING_REQUESTS"},
        },
        {"VariantName": "two", "ModelName": "cats", "InstanceType": "ml.m5.large", "InitialInstanceCount": 1},
    ],
}


def laid_out(generation: str = "7") -> FleetLayout:
    return lay_out_fleet("end", CONFIG, MODELS, generation=generation, work_dir=Path("/w"))


def test_every_instance_has_its_own_container_folder_and_log() -> None:
    layout = laid_out()
    assert (layout.config, layout.folder) == ("config", Path("/w/end-7"))
    assert layout.log_group == "/aws/sagemaker/Endpoints/end"
    one, two = layout.variants
    assert (one.least_outstanding, one.role_arn, one.max_model_bytes) == (True, "r", 1 << 30)
    assert (two.least_outstanding, two.containers[0].source) == (False, None)
    health_timeouts_s = [layout.instance(variant, 0, {}).health_timeout_s for variant in layout.variants]
    assert health_timeouts_s == [60, HEALTH_TIMEOUT_S]
    instance = layout.instance(one, 0, {})
    (container,) = instance.containers
    assert container.spec == ContainerSpec(
        name=f"end-{instance.id}",
        image="stagemaker/serve",
        command=("serve",),
        base_dir=Path("/w/end-7") / instance.id,
        mounts=(Mount("/opt/ml/model", Path("/w/end-7") / instance.id / "model"),),
        environment={"A": "1"},
        serves=True,
        group="end-7",
        instance_type="ml.g5.xlarge",
    )
    assert container.log_stream == instance.log_stream == f"one/{instance.id}"
    assert layout.instance(two, 0, {}).containers[0].spec.mounts == ()  # a model of the image's own stays


def test_an_isolated_instance_is_on_a_network_of_its_own() -> None:
    layout = laid_out()
    specs = [layout.instance(variant, 0, {}).containers[0].spec for variant in layout.variants]
    assert [(spec.isolated, spec.group) for spec in specs] == [(False, "end-7"), (True, "")]


def test_instance_ids_differ_within_and_between_fleets_and_are_repeatable() -> None:
    def ids(generation: str) -> list[str]:
        layout = laid_out(generation)
        return [layout.instance(variant, number, {}).id for variant in layout.variants for number in (0, 1)]

    assert ids("1") == ids("1")
    assert len({*ids("1"), *ids("2")}) == 8
    assert all(len(i) == 19 and i.startswith("i-") for i in ids("1"))


def test_a_variant_is_found_by_its_name() -> None:
    layout = laid_out()
    assert layout.variant("two") is layout.variants[1]
    assert layout.variant("three") is None


def source(**changes: Any) -> dict[str, Any]:
    given = {"S3Uri": "s3://b/k/", "S3DataType": "S3Prefix", "CompressionType": "None", **changes}
    return {"ModelDataSource": {"S3DataSource": given}}


@pytest.mark.parametrize(
    ("container", "expected"),
    [
        ({}, None),
        ({"ModelDataUrl": "s3://b/k"}, ModelSource("s3://b/k", "archive")),
        (source(), ModelSource("s3://b/k/", "prefix")),
        (source(S3DataType="S3Object"), ModelSource("s3://b/k/", "object")),
        (source(S3DataType="S3Object", CompressionType="Gzip"), ModelSource("s3://b/k/", "archive")),
    ],
)
def test_forms_of_model_data(container: dict[str, Any], expected: ModelSource | None) -> None:
    assert model_source(container) == expected


@pytest.mark.parametrize(
    ("container", "status"),
    [
        ({"ModelDataUrl": "https://b/k"}, 400),
        ({"ModelDataUrl": "s3://b"}, 400),
        ({"ModelDataUrl": "s3://other/k", **source()}, 400),
        (source(S3Uri="s3://b/v1"), 400),
        (source(CompressionType="Gzip"), 501),
        (source(ManifestS3Uri="s3://b/k"), 501),
    ],
)
def test_forms_that_are_refused(container: dict[str, Any], status: int) -> None:
    with pytest.raises(ApiError) as error:
        model_source(container)
    assert error.value.status == status

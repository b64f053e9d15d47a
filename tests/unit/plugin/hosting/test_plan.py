"""From records to a fleet, compared as values."""

from pathlib import Path
from typing import Any

import pytest

from stagemaker.core.errors import ApiError
from stagemaker.hosting.plan import HEALTH_TIMEOUT_S, ModelSource, model_source, next_variant, plan_fleet
from stagemaker.runtime.contract import ContainerSpec

CONTAINERS: dict[str, dict[str, Any]] = {
    "dogs": {
        "Image": "stagemaker/serve",
        "ModelDataUrl": "s3://b/m.tar.gz",
        "Environment": {"A": "1"},
        "ExecutionRoleArn": "r",
    },
    "cats": {"Image": "stagemaker/other", "ExecutionRoleArn": "s"},
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


def test_every_instance_has_its_own_container_folder_and_log() -> None:
    plan = plan_fleet("end", CONFIG, CONTAINERS, generation="7", work_dir=Path("/w"))
    assert (plan.config, plan.folder, plan.log_group) == ("config", Path("/w/end-7"), "/aws/sagemaker/Endpoints/end")
    one, two = plan.variants
    assert (one.weight, one.least_outstanding, one.role_arn, one.max_model_bytes) == (3.0, True, "r", 1 << 30)
    assert (two.weight, two.least_outstanding, two.source, len(two.instances)) == (1.0, False, None, 1)
    assert [i.health_timeout_s for i in (*one.instances, *two.instances)] == [60, 60, HEALTH_TIMEOUT_S]
    instance = one.instances[0]
    assert instance.spec == ContainerSpec(
        name=f"end-{instance.id}",
        image="stagemaker/serve",
        command=("serve",),
        base_dir=Path("/w/end-7") / instance.id,
        environment={"A": "1"},
        serves=True,
        instance_type="ml.g5.xlarge",
    )
    assert instance.log_stream == f"one/{instance.id}"


def test_instance_ids_differ_within_and_between_fleets_and_are_repeatable() -> None:
    def ids(generation: str) -> list[str]:
        plan = plan_fleet("end", CONFIG, CONTAINERS, generation=generation, work_dir=Path("/w"))
        return [instance.id for variant in plan.variants for instance in variant.instances]

    assert ids("1") == ids("1")
    assert len({*ids("1"), *ids("2")}) == 6
    assert all(len(i) == 19 and i.startswith("i-") for i in ids("1"))


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
        (source(CompressionType="Gzip"), 501),
        (source(ManifestS3Uri="s3://b/k"), 501),
    ],
)
def test_forms_that_are_refused(container: dict[str, Any], status: int) -> None:
    with pytest.raises(ApiError) as error:
        model_source(container)
    assert error.value.status == status


def test_requests_are_shared_by_weight_at_every_moment() -> None:
    weights = {"a": 2.0, "b": 1.0, "none": 0.0}
    served = dict.fromkeys(weights, 0)
    order = ""
    for _ in range(9):
        name = next_variant(weights, served)
        assert name
        served[name] += 1
        order += name
    assert order == "aabaabaab" or served == {"a": 6, "b": 3, "none": 0}
    assert all(abs(order[:n].count("a") - n * 2 / 3) <= 1 for n in range(10))


def test_no_weight_no_variant() -> None:
    assert next_variant({"a": 0.0}, {"a": 0}) is None

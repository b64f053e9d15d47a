"""Which serverless variants there can be, what an account may have, and how many containers run."""

from typing import Any

import pytest

from stagemaker.core.errors import ApiError
from stagemaker.hosting.serverless import (
    Known,
    Limits,
    Plan,
    check_quotas,
    check_serverless_config,
    check_serverless_model,
    plan_containers,
    serverless_config,
)
from tests.unit.plugin.hosting.serverless_variants import variant

INSTANCES = {"VariantName": "b", "ModelName": "model", "InstanceType": "ml.m5.large", "InitialInstanceCount": 1}
MODEL: dict[str, Any] = {"PrimaryContainer": {"Image": "image"}, "EnableNetworkIsolation": False}


def refusal(request: dict[str, Any]) -> str:
    with pytest.raises(ApiError) as error:
        check_serverless_config({"EndpointConfigName": "config", **request})
    assert (error.value.code, error.value.status) == ("ValidationException", 400)
    return error.value.message


@pytest.mark.parametrize("memory_mb", [1024, 2048, 3072, 4096, 5120, 6144])
def test_memory_is_given_in_steps_of_one_gigabyte(memory_mb: int) -> None:
    check_serverless_config({"ProductionVariants": [variant(memory_mb=memory_mb)]})
    wrong = variant(memory_mb=memory_mb - 512)
    assert refusal({"ProductionVariants": [wrong]}) == (
        f"MemorySizeInMB must be a multiple of 1024, not {memory_mb - 512}."
    )


def test_no_more_is_provisioned_than_runs_at_once() -> None:
    check_serverless_config({"ProductionVariants": [variant(most=3, kept=3)]})
    assert "less than or equal to MaxConcurrency" in refusal({"ProductionVariants": [variant(most=3, kept=4)]})


@pytest.mark.parametrize(
    ("request_members", "named"),
    [
        ({"ProductionVariants": [variant(), INSTANCES]}, "More than one production variant"),
        ({"ProductionVariants": [variant(InstanceType="ml.m5.large")]}, "InstanceType"),
        ({"ProductionVariants": [variant(InitialInstanceCount=1)]}, "InitialInstanceCount"),
        ({"ProductionVariants": [variant(VolumeSizeInGB=10)]}, "VolumeSizeInGB"),
        ({"ProductionVariants": [variant()], "ShadowProductionVariants": [INSTANCES]}, "ShadowProductionVariants"),
        ({"ProductionVariants": [INSTANCES], "ShadowProductionVariants": [variant()]}, "ShadowProductionVariants"),
        ({"ProductionVariants": [variant()], "AsyncInferenceConfig": {}}, "AsyncInferenceConfig"),
        ({"ProductionVariants": [variant()], "DataCaptureConfig": {"EnableCapture": True}}, "DataCaptureConfig"),
        ({"ProductionVariants": [variant()], "DataCaptureConfig": {}}, "DataCaptureConfig"),
        ({"ProductionVariants": [variant()], "EnableNetworkIsolation": True}, "Network isolation"),
    ],
)
def test_what_aws_excludes_is_named(request_members: dict[str, Any], named: str) -> None:
    message = refusal(request_members)
    assert named in message
    assert message.endswith("is not supported for serverless endpoint.")


@pytest.mark.parametrize(
    ("members", "named"),
    [
        ({"Containers": [{"Image": "a"}, {"Image": "b"}]}, "pipeline"),
        ({"InferenceExecutionConfig": {"Mode": "Direct"}}, "several containers"),
        ({"PrimaryContainer": {"Image": "a", "Mode": "MultiModel"}}, "multi-model"),
        ({"Containers": [{"Image": "a", "Mode": "MultiModel"}]}, "multi-model"),
        ({"VpcConfig": {"Subnets": ["a"], "SecurityGroupIds": ["b"]}}, "VpcConfig"),
        ({"EnableNetworkIsolation": True}, "Network isolation"),
    ],
)
def test_models_that_aws_excludes_are_named(members: dict[str, Any], named: str) -> None:
    check_serverless_model(MODEL)
    with pytest.raises(ApiError, match="is not supported for serverless endpoint") as error:
        check_serverless_model({**MODEL, **members})
    assert named in error.value.message


def test_data_capture_that_is_switched_off_is_taken() -> None:
    check_serverless_config({"ProductionVariants": [variant()], "DataCaptureConfig": {"EnableCapture": False}})


def test_a_configuration_without_a_serverless_variant_is_none_of_its_business() -> None:
    check_serverless_config({"ProductionVariants": [INSTANCES, INSTANCES], "AsyncInferenceConfig": {}})


@pytest.mark.parametrize(("region", "limit"), [("eu-west-1", 1000), ("us-east-2", 1000), ("eu-west-3", 500)])
def test_the_concurrency_of_an_account_depends_on_its_region(region: str, limit: int) -> None:
    check_quotas(region, [limit - 200], 200)
    with pytest.raises(ApiError) as error:
        check_quotas(region, [limit - 200], 201)
    assert error.value.code == "ResourceLimitExceeded"
    assert error.value.message == (
        "The account-level service limit 'Maximum total concurrency that can be allocated across all serverless "
        f"endpoints' is {limit} Total Concurrency, with current utilization of {limit - 200} Total Concurrency and a "
        "request delta of 201 Total Concurrency."
    )


def test_an_account_has_fifty_serverless_endpoints() -> None:
    check_quotas("eu-west-1", [1] * 49, 1)
    with pytest.raises(ApiError, match="is 50 Endpoints"):
        check_quotas("eu-west-1", [1] * 50, 1)


def test_a_description_names_provisioned_concurrency_only_where_there_is_some() -> None:
    assert serverless_config(1024, 5, 0) == {"MemorySizeInMB": 1024, "MaxConcurrency": 5}
    assert serverless_config(1024, 5, 2)["ProvisionedConcurrency"] == 2


STARTING, BUSY = Known("starting", starts=True, idle_s=None), Known("busy", starts=False, idle_s=None)


def idle(seconds: float) -> Known:
    return Known(f"idle {seconds:.0f}", starts=False, idle_s=seconds)


@pytest.mark.parametrize(
    ("known", "waiting", "kept", "plan"),
    [
        ([], 0, 0, Plan(0, ())),
        ([], 3, 0, Plan(3, ())),
        ([], 9, 0, Plan(4, ())),  # starts take turns
        ([BUSY, STARTING], 3, 0, Plan(2, ())),
        ([STARTING, STARTING, STARTING, STARTING], 9, 0, Plan(0, ())),
        ([STARTING, STARTING], 1, 0, Plan(0, ())),
        ([], 0, 2, Plan(2, ())),
        ([BUSY], 0, 2, Plan(1, ())),
        ([BUSY], 3, 2, Plan(3, ())),
        ([idle(1)], 1, 0, Plan(0, ())),  # which it is just being given
        ([idle(1)], 2, 0, Plan(1, ())),
        ([BUSY] * 9, 3, 0, Plan(1, ())),  # no more than MaxConcurrency
        ([BUSY] * 11, 3, 0, Plan(0, ())),  # which was just lowered
        ([idle(299)], 0, 0, Plan(0, ())),
        ([idle(300)], 0, 0, Plan(0, ("idle 300",))),
        ([idle(301), idle(10), idle(900)], 0, 0, Plan(0, ("idle 900", "idle 301"))),
        ([idle(301), idle(10), idle(900)], 0, 2, Plan(0, ("idle 900",))),
        ([idle(900), idle(900)], 0, 2, Plan(0, ())),
    ],
)
def test_how_many_containers_start_and_end(known: list[Known], waiting: int, kept: int, plan: Plan) -> None:
    assert plan_containers(known, waiting, Limits(kept, most=10, keep_warm_s=300.0, starting=4)) == plan

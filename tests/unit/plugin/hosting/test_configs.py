"""What CreateEndpointConfig checks, and what the others answer."""

from pathlib import Path
from typing import Any

import pytest

from stagemaker.core.errors import ApiError
from stagemaker.core.kinds import ENDPOINT_CONFIG
from tests.unit.plugin.fakes import SCOPE, FakeClock
from tests.unit.plugin.hosting_environment import HostingEnvironment

VARIANT: dict[str, Any] = {
    "VariantName": "AllTraffic",
    "ModelName": "model",
    "InitialInstanceCount": 1,
    "InstanceType": "ml.m5.large",
}
GOOD: dict[str, Any] = {"EndpointConfigName": "Config", "ProductionVariants": [VARIANT]}
ARN = "arn:aws:sagemaker:eu-west-1:123456789012:endpoint-config/config"


@pytest.fixture
def hosting(tmp_path: Path) -> HostingEnvironment:
    made = HostingEnvironment(tmp_path, FakeClock(), {})
    made.model("model")
    return made


def test_a_configuration_is_described_as_it_was_given(hosting: HostingEnvironment) -> None:
    assert hosting.configs.create_endpoint_config(SCOPE, {**GOOD, "Tags": []}) == {"EndpointConfigArn": ARN}
    assert hosting.configs.describe_endpoint_config(SCOPE, {"EndpointConfigName": "Config"}) == {
        "EndpointConfigName": "Config",
        "EndpointConfigArn": ARN,
        "ProductionVariants": [{**VARIANT, "InitialVariantWeight": 1.0}],
        "CreationTime": 1_800_000_000.0,
    }


def test_configurations_are_listed_and_deleted(hosting: HostingEnvironment) -> None:
    for name in ("a", "b", "c"):
        hosting.config(name)
    hosting.configs.delete_endpoint_config(SCOPE, {"EndpointConfigName": "b"})
    listed = hosting.configs.list_endpoint_configs(SCOPE, {"SortOrder": "Ascending"})
    assert [config["EndpointConfigName"] for config in listed["EndpointConfigs"]] == ["a", "c"]
    assert set(listed["EndpointConfigs"][0]) == {"EndpointConfigName", "EndpointConfigArn", "CreationTime"}


@pytest.mark.parametrize("operation", ["describe_endpoint_config", "delete_endpoint_config"])
def test_a_configuration_that_is_not_there(hosting: HostingEnvironment, operation: str) -> None:
    with pytest.raises(ApiError, match='Could not find endpoint configuration "arn:'):
        getattr(hosting.configs, operation)(SCOPE, {"EndpointConfigName": "x"})


def refused(hosting: HostingEnvironment, request: dict[str, Any]) -> ApiError:
    with pytest.raises(ApiError) as error:
        hosting.configs.create_endpoint_config(SCOPE, request)
    return error.value


@pytest.mark.parametrize("name", ["Config", "config"])
def test_a_name_that_is_taken_is_refused_in_aws_s_words(hosting: HostingEnvironment, name: str) -> None:
    hosting.configs.create_endpoint_config(SCOPE, GOOD)
    error = refused(hosting, {**GOOD, "EndpointConfigName": name})
    assert error.message == f'Cannot create already existing endpoint configuration "{ARN}".'


@pytest.mark.parametrize(
    ("variants", "sentence"),
    [
        ([{**VARIANT, "ModelName": "cats"}], 'Could not find model "arn:'),
        ([VARIANT, VARIANT], "different names"),
        ([{k: v for k, v in VARIANT.items() if k != "InstanceType"}], "has no InstanceType"),
        ([{k: v for k, v in VARIANT.items() if k != "InitialInstanceCount"}], "has no InitialInstanceCount"),
    ],
)
def test_variants_that_are_wrong(hosting: HostingEnvironment, variants: list[dict[str, Any]], sentence: str) -> None:
    error = refused(hosting, {**GOOD, "ProductionVariants": variants})
    assert (error.code, error.status) == ("ValidationException", 400)
    assert sentence in error.message
    assert hosting.store.all(SCOPE, ENDPOINT_CONFIG) == []


@pytest.mark.parametrize(
    ("members", "variant", "named"),
    [
        ({"ShadowProductionVariants": [{**VARIANT, "CoreDumpConfig": {"a": 1}}]}, {}, "CoreDumpConfig"),
        ({"EnableNetworkIsolation": True}, {}, "EnableNetworkIsolation"),
        ({"VpcConfig": {"Subnets": ["subnet-1"], "SecurityGroupIds": ["sg-1"]}}, {}, "VpcConfig"),
        ({"MetricsConfig": {"EnableDetailedObservability": True}}, {}, "EnableDetailedObservability"),
        ({}, {"ManagedInstanceScaling": {"Status": "ENABLED"}}, "ManagedInstanceScaling"),
    ],
)
def test_what_is_not_implemented_is_refused_by_name(
    hosting: HostingEnvironment, members: dict[str, Any], variant: dict[str, Any], named: str
) -> None:
    error = refused(hosting, {**GOOD, **members, "ProductionVariants": [{**VARIANT, **variant}]})
    assert error.status == 501
    assert named in error.message


SHADOW = {**VARIANT, "VariantName": "Shadow"}


def test_a_shadow_variant_is_described_as_it_was_given(hosting: HostingEnvironment) -> None:
    hosting.configs.create_endpoint_config(SCOPE, {**GOOD, "ShadowProductionVariants": [SHADOW]})
    described = hosting.configs.describe_endpoint_config(SCOPE, {"EndpointConfigName": "Config"})
    assert described["ShadowProductionVariants"] == [{**SHADOW, "InitialVariantWeight": 1.0}]
    assert described["ProductionVariants"] == [{**VARIANT, "InitialVariantWeight": 1.0}]


@pytest.mark.parametrize(
    ("production", "shadows", "sentence"),
    [
        ([VARIANT, {**VARIANT, "VariantName": "b"}], [SHADOW], "exactly one production and one shadow variant"),
        ([VARIANT], [SHADOW, {**SHADOW, "VariantName": "b"}], "exactly one production and one shadow variant"),
        ([VARIANT], [VARIANT], "different names"),
        ([VARIANT], [{**SHADOW, "ModelName": "cats"}], 'Could not find model "arn:'),
        ([VARIANT], [{k: v for k, v in SHADOW.items() if k != "InstanceType"}], "Shadow has no InstanceType"),
    ],
)
def test_shadow_variants_that_are_wrong(
    hosting: HostingEnvironment, production: list[Any], shadows: list[Any], sentence: str
) -> None:
    error = refused(hosting, {**GOOD, "ProductionVariants": production, "ShadowProductionVariants": shadows})
    assert (error.code, error.status) == ("ValidationException", 400)
    assert sentence in error.message


def test_a_variant_without_a_model_is_an_inference_component(hosting: HostingEnvironment) -> None:
    variant = {k: v for k, v in VARIANT.items() if k != "ModelName"}
    assert refused(hosting, {**GOOD, "ProductionVariants": [variant]}).status == 501


def test_a_multi_model_endpoint_has_no_shadow_variant(hosting: HostingEnvironment) -> None:
    hosting.model("many", Mode="MultiModel", ModelDataUrl="s3://bucket/models/")
    with pytest.raises(ApiError, match="not supported with multi-model endpoints"):
        hosting.config("config", {"ModelName": "many"}, shadow={})
    hosting.config("config", {"ModelName": "many"})

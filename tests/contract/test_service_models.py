"""The stage knows AWS's newest operations and members, though LocalStack's botocore does not."""

from typing import Any

import botocore.session
import pytest
from botocore.exceptions import ClientError

from stagemaker.adapters.service_models import FOLDER
from tests.contract.gateway import REGION, SERVER, Gateway, training_request
from tests.contract.own_operations import own_operations


@pytest.fixture(scope="module")
def newest(gateway: Gateway) -> Any:
    """A client of SageMaker as the newest boto3 makes it."""
    session = botocore.session.get_session()
    session.get_component("data_loader").search_paths.insert(0, str(FOLDER))
    return session.create_client(
        "sagemaker",
        endpoint_url=gateway.url,
        region_name=REGION,
        aws_access_key_id="000000000000",
        aws_secret_access_key="test",
    )


def test_every_service_of_the_stage_has_its_newest_model() -> None:
    assert {folder.name for folder in FOLDER.iterdir()} == own_operations().keys()


def test_the_newest_operations_are_read_and_answer_501_by_their_name(gateway: Gateway, newest: Any) -> None:
    older = gateway.client("sagemaker")
    assert not hasattr(older, "list_inference_routers")
    with pytest.raises(ClientError) as caught:
        newest.list_inference_routers(MaxResults=3)
    answer = caught.value.response
    assert answer["ResponseMetadata"]["HTTPStatusCode"] == 501
    assert answer["Error"]["Code"] == "NotImplementedException"
    assert "the operation ListInferenceRouters of sagemaker" in answer["Error"]["Message"]


def refused(sagemaker: Any, operation: str, **request: Any) -> str:
    """The message of the 501."""
    with pytest.raises(ClientError) as caught:
        getattr(sagemaker, operation)(**request)
    assert caught.value.response["ResponseMetadata"]["HTTPStatusCode"] == 501
    return str(caught.value.response["Error"]["Message"])


def test_the_newest_members_are_read_and_refused_by_their_name(newest: Any, role: str) -> None:
    preference = {"InstanceType": "ml.m5.large", "InstanceCount": 1}
    job = training_request("newest", role)
    job["ResourceConfig"] = {"VolumeSizeInGB": 10, "InstancePreferences": [preference]}
    assert "ResourceConfig.InstancePreferences" in refused(newest, "create_training_job", **job)

    container = {"Image": SERVER, "ContainerMetricsConfig": {"MetricsEndpoints": [{"MetricsEndpointPath": "/metrics"}]}}
    model = {"ModelName": "newest", "ExecutionRoleArn": role, "PrimaryContainer": container}
    assert "(ContainerMetricsConfig)" in refused(newest, "create_model", **model)


@pytest.mark.parametrize(
    ("member", "value", "named"),
    [
        ("InstancePools", [{"InstanceType": "ml.m5.large", "Priority": 1}], "(InstancePools)"),
        ("AcceleratorPartitionLayouts", [{"AcceleratorPartitionTypes": []}], "(AcceleratorPartitionLayouts)"),
        ("RoutingConfig", {"RoutingStrategy": "PREFIX_AWARE"}, "the routing strategy PREFIX_AWARE"),
    ],
)
def test_the_newest_members_of_a_variant_are_refused_by_their_name(
    newest: Any, member: str, value: Any, named: str
) -> None:
    variant = {"VariantName": "a", "ModelName": "newest", "InstanceType": "ml.m5.large", "InitialInstanceCount": 1}
    request = {"EndpointConfigName": "newest", "ProductionVariants": [{**variant, member: value}]}
    assert named in refused(newest, "create_endpoint_config", **request)


def test_a_newest_value_is_no_wrong_value(newest: Any, role: str) -> None:
    """An instance type that the older model does not have; its job starts as any other."""
    job = training_request("newest-type", role)
    job["ResourceConfig"]["InstanceType"] = "ml.m8i.large"
    newest.create_training_job(**job)
    assert newest.describe_training_job(TrainingJobName="newest-type")["ResourceConfig"] == job["ResourceConfig"]
    newest.stop_training_job(TrainingJobName="newest-type")

"""botocore's waiters for every operation that is ours: each comes to its end, as it does on AWS."""

from collections.abc import Callable
from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.contract.gateway import SERVER, Gateway, ended, processing_request, training_request, transform_request
from tests.contract.own_operations import own_operations

QUICKLY = {"Delay": 0.1, "MaxAttempts": 300}


def training(gateway: Gateway, role: str) -> dict[str, Any]:
    gateway.client("sagemaker").create_training_job(**training_request("waited", role))
    return {"TrainingJobName": "waited"}


def processing(gateway: Gateway, role: str) -> dict[str, Any]:
    gateway.client("sagemaker").create_processing_job(**processing_request("waited", role))
    return {"ProcessingJobName": "waited"}


def endpoint(gateway: Gateway, role: str) -> dict[str, Any]:
    """One that is being created. Meanwhile it tells what is on its way."""
    sagemaker = gateway.client("sagemaker")
    sagemaker.create_training_job(**training_request("waited-model", role))
    data = ended(sagemaker, "waited-model")["ModelArtifacts"]["S3ModelArtifacts"]
    container = {"Image": SERVER, "ModelDataUrl": data}
    sagemaker.create_model(ModelName="waited", PrimaryContainer=container, ExecutionRoleArn=role)
    variant = {"VariantName": "all", "ModelName": "waited", "InitialInstanceCount": 1, "InstanceType": "ml.m5.large"}
    sagemaker.create_endpoint_config(EndpointConfigName="waited", ProductionVariants=[variant])
    sagemaker.create_endpoint(EndpointName="waited", EndpointConfigName="waited")
    pending = sagemaker.describe_endpoint(EndpointName="waited")["PendingDeploymentSummary"]
    assert pending["EndpointConfigName"] == "waited"
    (shown,) = pending["ProductionVariants"]
    assert (shown["VariantName"], shown["DesiredInstanceCount"], shown["InstanceType"]) == ("all", 1, "ml.m5.large")
    assert shown["VariantStatus"][0]["StatusMessage"] == "Launching 1 instance(s)."
    return {"EndpointName": "waited"}


def transform(gateway: Gateway, role: str) -> dict[str, Any]:
    """Of the endpoint's model."""
    assert role
    gateway.client("sagemaker").create_transform_job(**transform_request("waited", "waited"))
    return {"TransformJobName": "waited"}


def deleted(gateway: Gateway, role: str) -> dict[str, Any]:
    """The endpoint that the case before has made."""
    assert role
    sagemaker = gateway.client("sagemaker")
    assert "PendingDeploymentSummary" not in sagemaker.describe_endpoint(EndpointName="waited")
    sagemaker.delete_endpoint(EndpointName="waited")
    return {"EndpointName": "waited"}


def preview(gateway: Gateway, role: str) -> dict[str, Any]:
    assert role
    ecr = gateway.client("ecr")
    ecr.create_repository(repositoryName="waited")
    selection = '{"tagStatus": "untagged", "countType": "imageCountMoreThan", "countNumber": 1}'
    policy = f'{{"rules": [{{"rulePriority": 1, "selection": {selection}, "action": {{"type": "expire"}}}}]}}'
    ecr.start_lifecycle_policy_preview(repositoryName="waited", lifecyclePolicyText=policy)
    return {"repositoryName": "waited"}


CASES: dict[tuple[str, str], Callable[[Gateway, str], dict[str, Any]]] = {
    ("sagemaker", "training_job_completed_or_stopped"): training,
    ("sagemaker", "processing_job_completed_or_stopped"): processing,
    ("sagemaker", "endpoint_in_service"): endpoint,
    ("sagemaker", "transform_job_completed_or_stopped"): transform,
    ("sagemaker", "endpoint_deleted"): deleted,
    ("ecr", "lifecycle_policy_preview_complete"): preview,
}


ONLY_IN_CONTAINERS = "notebook_instance_"  # test_docker_notebooks.py waits for these statuses, by Describe


def test_every_waiter_of_ours_has_a_case(gateway: Gateway) -> None:
    found = set()
    for service, operations in own_operations().items():
        client = gateway.client(service)
        ours = [name for name in client.waiter_names if client.get_waiter(name).config.operation in operations]
        found |= {(service, name) for name in ours if not name.startswith(ONLY_IN_CONTAINERS)}
    assert found == CASES.keys()


@pytest.mark.parametrize(("service", "name"), CASES, ids=lambda value: str(value))
def test_a_waiter_comes_to_its_end(gateway: Gateway, role: str, service: str, name: str) -> None:
    request = CASES[service, name](gateway, role)
    gateway.client(service).get_waiter(name).wait(**request, WaiterConfig=QUICKLY)


def test_the_endpoint_is_gone_after_its_waiter(gateway: Gateway) -> None:
    with pytest.raises(ClientError, match="Could not find endpoint"):
        gateway.client("sagemaker").describe_endpoint(EndpointName="waited")

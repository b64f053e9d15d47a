"""Stacks of SageMaker's and ECR's resources: what a stack says is made is there, and what fails leaves nothing."""

import json
from collections.abc import Callable
from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.contract.gateway import SERVER, Gateway, ended, training_request, until

ACCOUNT = "arn:aws:sagemaker:eu-west-1:000000000000"
ENDED = ("CREATE_COMPLETE", "CREATE_FAILED", "UPDATE_COMPLETE", "ROLLBACK_COMPLETE", "DELETE_COMPLETE", "UPDATE_FAILED")
Resources = dict[str, dict[str, Any]]


@pytest.fixture(scope="module")
def cloudformation(gateway: Gateway) -> Any:
    return gateway.client("cloudformation")


@pytest.fixture(scope="module")
def sagemaker(gateway: Gateway) -> Any:
    return gateway.client("sagemaker")


@pytest.fixture(scope="module")
def hosting(sagemaker: Any, role: str) -> Resources:
    """A model, a configuration and an endpoint, without names of their own."""
    sagemaker.create_training_job(**training_request("stacked", role))
    data = ended(sagemaker, "stacked")["ModelArtifacts"]["S3ModelArtifacts"]
    container = {"Image": SERVER, "ModelDataUrl": data, "Environment": {"WORKERS": 2}}
    variant = {
        "VariantName": "all",
        "ModelName": {"Fn::GetAtt": ["Model", "ModelName"]},
        "InitialInstanceCount": "1",
        "InstanceType": "ml.m5.large",
        "InitialVariantWeight": 1.0,
    }
    config = {"Fn::GetAtt": ["Config", "EndpointConfigName"]}
    tags = [{"Key": "team", "Value": "dogs"}]
    return {
        "Model": {
            "Type": "AWS::SageMaker::Model",
            "Properties": {"PrimaryContainer": container, "ExecutionRoleArn": role, "Tags": tags},
        },
        "Config": {"Type": "AWS::SageMaker::EndpointConfig", "Properties": {"ProductionVariants": [variant]}},
        "Endpoint": {"Type": "AWS::SageMaker::Endpoint", "Properties": {"EndpointConfigName": config}},
    }


OUTPUTS = {
    "Model": {"Value": {"Ref": "Model"}},
    "ModelName": {"Value": {"Fn::GetAtt": ["Model", "ModelName"]}},
    "Config": {"Value": {"Fn::GetAtt": ["Config", "EndpointConfigName"]}},
    "Endpoint": {"Value": {"Ref": "Endpoint"}},
    "EndpointName": {"Value": {"Fn::GetAtt": ["Endpoint", "EndpointName"]}},
}


def template(resources: Resources, outputs: dict[str, Any] | None = None) -> str:
    return json.dumps({"Resources": resources, **({"Outputs": outputs} if outputs else {})})


def end(cloudformation: Any, call: Callable[..., Any], **request: Any) -> Any:
    """The stack after `call`."""
    stack = call(**request)["StackId"]
    return until(
        lambda: cloudformation.describe_stacks(StackName=stack)["Stacks"][0],
        lambda found: found["StackStatus"] in ENDED and "ROLLBACK_IN" not in found["StackStatus"],
    )


def remove(cloudformation: Any, stack: Any) -> None:
    cloudformation.delete_stack(StackName=stack["StackId"])
    until(
        lambda: cloudformation.describe_stacks(StackName=stack["StackId"])["Stacks"][0]["StackStatus"],
        lambda status: status == "DELETE_COMPLETE",
    )


def reasons(cloudformation: Any, stack: Any) -> str:
    events = cloudformation.describe_stack_events(StackName=stack["StackId"])["StackEvents"]
    return " | ".join(event.get("ResourceStatusReason") or "" for event in events)


def test_an_endpoint_s_whole_life_in_a_stack(
    gateway: Gateway, cloudformation: Any, sagemaker: Any, hosting: Resources
) -> None:
    stack = end(cloudformation, cloudformation.create_stack, StackName="dogs", TemplateBody=template(hosting, OUTPUTS))
    assert stack["StackStatus"] == "CREATE_COMPLETE", reasons(cloudformation, stack)
    values = {output["OutputKey"]: output["OutputValue"] for output in stack["Outputs"]}
    model = sagemaker.describe_model(ModelName=values["ModelName"])
    assert values["Model"] == model["ModelArn"]
    assert model["PrimaryContainer"]["Environment"] == {"WORKERS": "2"}
    assert sagemaker.list_tags(ResourceArn=values["Model"])["Tags"] == [{"Key": "team", "Value": "dogs"}]
    endpoint = sagemaker.describe_endpoint(EndpointName=values["EndpointName"])
    assert (endpoint["EndpointArn"], endpoint["EndpointStatus"]) == (values["Endpoint"], "InService")
    runtime = gateway.client("sagemaker-runtime")
    answer = runtime.invoke_endpoint(EndpointName=values["EndpointName"], Body=b"x", ContentType="text/plain")
    assert answer["Body"].read() == b"trained x"

    variant = {**hosting["Config"]["Properties"]["ProductionVariants"][0], "InitialVariantWeight": 2.0}
    changed = {
        **hosting,
        "Model": {**hosting["Model"], "Properties": {**hosting["Model"]["Properties"], "Tags": []}},
        "Config": {**hosting["Config"], "Properties": {"ProductionVariants": [variant]}},
    }
    stack = end(cloudformation, cloudformation.update_stack, StackName="dogs", TemplateBody=template(changed, OUTPUTS))
    assert stack["StackStatus"] == "UPDATE_COMPLETE", reasons(cloudformation, stack)
    updated = {output["OutputKey"]: output["OutputValue"] for output in stack["Outputs"]}
    assert {key for key in values if values[key] != updated[key]} == {"Config"}
    endpoint = sagemaker.describe_endpoint(EndpointName=values["EndpointName"])
    assert (endpoint["EndpointConfigName"], endpoint["EndpointStatus"]) == (updated["Config"], "InService")
    assert sagemaker.list_tags(ResourceArn=values["Model"])["Tags"] == []
    assert len(sagemaker.list_endpoint_configs(NameContains="dogs-")["EndpointConfigs"]) == 1

    remove(cloudformation, stack)
    assert nothing_of(sagemaker, "dogs-")


def nothing_of(sagemaker: Any, name: str) -> bool:
    lists = (("list_models", "Models"), ("list_endpoint_configs", "EndpointConfigs"), ("list_endpoints", "Endpoints"))
    return all(getattr(sagemaker, call)(NameContains=name)[items] == [] for call, items in lists)


@pytest.mark.parametrize(
    ("name", "bad", "reason"),
    [
        ("bad-kind", {"Type": "AWS::SageMaker::Domain", "Properties": {}}, "AWS::SageMaker::Domain"),
        ("bad-ecr", {"Type": "AWS::ECR::PublicRepository", "Properties": {}}, "AWS::ECR::PublicRepository"),
        (
            "bad-key",
            {"Type": "AWS::SageMaker::EndpointConfig", "Properties": {"Variants": []}},
            "extraneous key [Variants]",
        ),
        (
            "bad-model",
            {
                "Type": "AWS::SageMaker::Endpoint",
                "Properties": {"EndpointConfigName": "there-is-none"},
            },
            "Could not find endpoint configuration",
        ),
    ],
)
def test_a_stack_that_fails_says_why_and_leaves_nothing(
    cloudformation: Any, sagemaker: Any, hosting: Resources, name: str, bad: dict[str, Any], reason: str
) -> None:
    resources = {
        "Model": hosting["Model"],
        "Config": hosting["Config"],
        "Bad": {**bad, "DependsOn": ["Config"]},
    }
    stack = end(cloudformation, cloudformation.create_stack, StackName=name, TemplateBody=template(resources))
    assert stack["StackStatus"] in ("ROLLBACK_COMPLETE", "CREATE_FAILED")
    assert reason in reasons(cloudformation, stack)
    assert until(lambda: nothing_of(sagemaker, f"{name}-"), bool)
    remove(cloudformation, stack)


def test_an_endpoint_that_fails_is_deleted_with_all_that_was_made_for_it(
    cloudformation: Any, sagemaker: Any, hosting: Resources
) -> None:
    container = {"Image": SERVER}  # without a model the server ends at once
    broken = {
        **hosting,
        "Model": {
            **hosting["Model"],
            "Properties": {**hosting["Model"]["Properties"], "PrimaryContainer": container},
        },
    }
    stack = end(cloudformation, cloudformation.create_stack, StackName="broken", TemplateBody=template(broken))
    assert stack["StackStatus"] in ("ROLLBACK_COMPLETE", "CREATE_FAILED")
    assert until(lambda: nothing_of(sagemaker, "broken-"), bool)
    remove(cloudformation, stack)


def test_a_stack_keeps_what_it_made_when_it_is_told_to(cloudformation: Any, sagemaker: Any, hosting: Resources) -> None:
    bad = {"Type": "AWS::SageMaker::Domain", "Properties": {}, "DependsOn": ["Model"]}
    body = template({"Model": hosting["Model"], "Bad": bad})
    stack = end(
        cloudformation, cloudformation.create_stack, StackName="kept", TemplateBody=body, OnFailure="DO_NOTHING"
    )
    assert len(sagemaker.list_models(NameContains="kept-")["Models"]) == 1
    remove(cloudformation, stack)
    assert nothing_of(sagemaker, "kept-")


def test_a_repository_s_whole_life_in_a_stack(gateway: Gateway, cloudformation: Any) -> None:
    ecr = gateway.client("ecr")
    statement = {"Effect": "Allow", "Principal": {"Service": "lambda.amazonaws.com"}, "Action": "ecr:BatchGetImage"}
    rule = {
        "rulePriority": 1,
        "selection": {"tagStatus": "untagged", "countType": "imageCountMoreThan", "countNumber": 1},
        "action": {"type": "expire"},
    }
    properties: dict[str, Any] = {
        "ImageTagMutability": "IMMUTABLE",
        "ImageScanningConfiguration": {"ScanOnPush": "true"},
        "RepositoryPolicyText": {"Version": "2012-10-17", "Statement": [statement]},
        "LifecyclePolicy": {"LifecyclePolicyText": json.dumps({"rules": [rule]})},
        "Tags": [{"Key": "team", "Value": "dogs"}],
    }
    outputs = {
        "Name": {"Value": {"Ref": "Images"}},
        "Arn": {"Value": {"Fn::GetAtt": ["Images", "Arn"]}},
        "Uri": {"Value": {"Fn::GetAtt": ["Images", "RepositoryUri"]}},
    }
    images = {"Images": {"Type": "AWS::ECR::Repository", "Properties": properties}}
    stack = end(cloudformation, cloudformation.create_stack, StackName="images", TemplateBody=template(images, outputs))
    assert stack["StackStatus"] == "CREATE_COMPLETE", reasons(cloudformation, stack)
    values = {output["OutputKey"]: output["OutputValue"] for output in stack["Outputs"]}
    (made,) = ecr.describe_repositories(repositoryNames=[values["Name"]])["repositories"]
    assert (made["repositoryArn"], made["repositoryUri"]) == (values["Arn"], values["Uri"])
    assert (made["imageTagMutability"], made["imageScanningConfiguration"]) == ("IMMUTABLE", {"scanOnPush": True})
    name = {"repositoryName": values["Name"]}
    assert json.loads(ecr.get_repository_policy(**name)["policyText"]) == properties["RepositoryPolicyText"]
    assert "rules" in ecr.get_lifecycle_policy(**name)["lifecyclePolicyText"]

    less = {"Images": {"Type": "AWS::ECR::Repository", "Properties": {"ImageTagMutability": "MUTABLE"}}}
    stack = end(cloudformation, cloudformation.update_stack, StackName="images", TemplateBody=template(less, outputs))
    assert stack["StackStatus"] == "UPDATE_COMPLETE", reasons(cloudformation, stack)
    (made,) = ecr.describe_repositories(repositoryNames=[values["Name"]])["repositories"]
    assert (made["imageTagMutability"], made["imageScanningConfiguration"]) == ("MUTABLE", {"scanOnPush": False})
    assert ecr.list_tags_for_resource(resourceArn=values["Arn"])["tags"] == []
    with pytest.raises(ClientError, match="RepositoryPolicyNotFoundException"):
        ecr.get_repository_policy(**name)
    remove(cloudformation, stack)
    with pytest.raises(ClientError, match="RepositoryNotFoundException"):
        ecr.describe_repositories(repositoryNames=[values["Name"]])

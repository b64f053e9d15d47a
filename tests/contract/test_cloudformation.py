"""Stacks of SageMaker's and ECR's resources: what a stack says is made is there, and what fails leaves nothing."""

import json
from collections.abc import Callable
from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.contract.gateway import SERVER, Gateway, ended, training_request, until

ACCOUNT = "arn:aws:sagemaker:eu-west-1:000000000000"
Resources = dict[str, dict[str, Any]]
BAD = {"Type": "AWS::SageMaker::Domain", "Properties": {}}


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
        lambda found: not found["StackStatus"].endswith("_IN_PROGRESS"),
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
    assert stack["StackStatus"] == "ROLLBACK_COMPLETE"
    assert reason in reasons(cloudformation, stack)
    assert "The following resource(s) failed to create: [Bad]. Rollback requested" in reasons(cloudformation, stack)
    assert nothing_of(sagemaker, f"{name}-")
    assert cloudformation.describe_stack_resources(StackName=name)["StackResources"] == []
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
    assert stack["StackStatus"] == "ROLLBACK_COMPLETE"
    assert nothing_of(sagemaker, "broken-")
    remove(cloudformation, stack)


def test_a_stack_keeps_what_it_made_when_it_is_told_to(cloudformation: Any, sagemaker: Any, hosting: Resources) -> None:
    bad = {"Type": "AWS::SageMaker::Domain", "Properties": {}, "DependsOn": ["Model"]}
    body = template({"Model": hosting["Model"], "Bad": bad})
    stack = end(
        cloudformation, cloudformation.create_stack, StackName="kept", TemplateBody=body, OnFailure="DO_NOTHING"
    )
    assert stack["StackStatus"] == "CREATE_FAILED"
    assert len(sagemaker.list_models(NameContains="kept-")["Models"]) == 1
    remove(cloudformation, stack)
    assert nothing_of(sagemaker, "kept-")


def test_a_stack_is_deleted_when_it_fails_and_was_told_so(
    cloudformation: Any, sagemaker: Any, hosting: Resources
) -> None:
    body = template({"Model": hosting["Model"], "Bad": {**BAD, "DependsOn": ["Model"]}})
    stack = end(cloudformation, cloudformation.create_stack, StackName="gone", TemplateBody=body, OnFailure="DELETE")
    assert stack["StackStatus"] == "DELETE_COMPLETE"
    assert nothing_of(sagemaker, "gone-")


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


def repository(mutability: str, **properties: Any) -> dict[str, Any]:
    return {"Type": "AWS::ECR::Repository", "Properties": {"ImageTagMutability": mutability, **properties}}


def changed(hosting: Resources) -> Resources:
    """Other tags of the model, another configuration, and so another state of the endpoint."""
    variant = {**hosting["Config"]["Properties"]["ProductionVariants"][0], "InitialVariantWeight": 3.0}
    properties = {**hosting["Model"]["Properties"], "Tags": [{"Key": "team", "Value": "cats"}]}
    return {
        **hosting,
        "Model": {**hosting["Model"], "Properties": properties},
        "Config": {**hosting["Config"], "Properties": {"ProductionVariants": [variant]}},
    }


def test_an_update_that_fails_gives_everything_its_former_state(
    gateway: Gateway, cloudformation: Any, sagemaker: Any, hosting: Resources
) -> None:
    ecr = gateway.client("ecr")
    first = {**hosting, "Images": repository("MUTABLE"), "Old": repository("MUTABLE")}
    body = template(first, OUTPUTS)
    stack = end(cloudformation, cloudformation.create_stack, StackName="undone", TemplateBody=body)
    assert stack["StackStatus"] == "CREATE_COMPLETE", reasons(cloudformation, stack)
    values = {output["OutputKey"]: output["OutputValue"] for output in stack["Outputs"]}

    second = {
        **changed(hosting),
        "Images": repository("IMMUTABLE"),
        "New": repository("MUTABLE"),
        "Bad": {**BAD, "DependsOn": ["Endpoint", "Images", "New"]},
    }
    update = {"StackName": "undone", "TemplateBody": template(second, OUTPUTS)}
    after = end(cloudformation, cloudformation.update_stack, **update)
    assert after["StackStatus"] == "UPDATE_ROLLBACK_COMPLETE", reasons(cloudformation, after)
    assert "The following resource(s) failed to update: [Bad]. Rollback requested" in reasons(cloudformation, after)
    assert after["Outputs"] == stack["Outputs"]
    assert sagemaker.list_tags(ResourceArn=values["Model"])["Tags"] == [{"Key": "team", "Value": "dogs"}]
    endpoint = sagemaker.describe_endpoint(EndpointName=values["EndpointName"])
    assert (endpoint["EndpointConfigName"], endpoint["EndpointStatus"]) == (values["Config"], "InService")
    assert len(sagemaker.list_endpoint_configs(NameContains="undone-")["EndpointConfigs"]) == 1
    repositories = ecr.describe_repositories()["repositories"]
    ours = [made for made in repositories if made["repositoryName"].startswith("undone-")]
    assert [made["imageTagMutability"] for made in ours] == ["MUTABLE", "MUTABLE"]
    resources = cloudformation.describe_stack_resources(StackName="undone")["StackResources"]
    assert {resource["LogicalResourceId"] for resource in resources} == first.keys()
    assert cloudformation.get_template(StackName="undone")["TemplateBody"]["Resources"].keys() == first.keys()

    del second["Bad"]
    stack = end(cloudformation, cloudformation.update_stack, **{**update, "TemplateBody": template(second, OUTPUTS)})
    assert stack["StackStatus"] == "UPDATE_COMPLETE", reasons(cloudformation, stack)
    remove(cloudformation, stack)
    assert nothing_of(sagemaker, "undone-")
    names = [made["repositoryName"] for made in ecr.describe_repositories()["repositories"]]
    assert not [name for name in names if name.startswith("undone-")]


def test_a_resource_whose_own_update_fails_gets_its_former_properties(gateway: Gateway, cloudformation: Any) -> None:
    ecr = gateway.client("ecr")
    body = template({"Images": repository("MUTABLE")})
    end(cloudformation, cloudformation.create_stack, StackName="half", TemplateBody=body)
    wrong = repository("IMMUTABLE", LifecyclePolicy={"LifecyclePolicyText": "no policy"})
    update = {"StackName": "half", "TemplateBody": template({"Images": wrong})}
    stack = end(cloudformation, cloudformation.update_stack, **update)
    assert stack["StackStatus"] == "UPDATE_ROLLBACK_COMPLETE", reasons(cloudformation, stack)
    (made,) = [r for r in ecr.describe_repositories()["repositories"] if r["repositoryName"].startswith("half-")]
    assert made["imageTagMutability"] == "MUTABLE"
    remove(cloudformation, stack)


def test_an_update_without_rollback_keeps_what_it_made_until_the_stack_is_deleted(
    gateway: Gateway, cloudformation: Any, sagemaker: Any, hosting: Resources
) -> None:
    first = {"Model": hosting["Model"], "Config": hosting["Config"], "Old": repository("MUTABLE")}
    end(cloudformation, cloudformation.create_stack, StackName="failed", TemplateBody=template(first))
    later = changed(hosting)
    second = {"Model": later["Model"], "Config": later["Config"], "Bad": {**BAD, "DependsOn": ["Config"]}}
    update = {"StackName": "failed", "TemplateBody": template(second), "DisableRollback": True}
    stack = end(cloudformation, cloudformation.update_stack, **update)
    assert stack["StackStatus"] == "UPDATE_FAILED", reasons(cloudformation, stack)
    (config,) = sagemaker.list_endpoint_configs(NameContains="failed-")["EndpointConfigs"]
    described = sagemaker.describe_endpoint_config(EndpointConfigName=config["EndpointConfigName"])
    assert described["ProductionVariants"][0]["InitialVariantWeight"] == 3.0
    remove(cloudformation, stack)
    assert nothing_of(sagemaker, "failed-")
    names = [made["repositoryName"] for made in gateway.client("ecr").describe_repositories()["repositories"]]
    assert not [name for name in names if name.startswith("failed-")]


def test_a_change_set_that_fails_leaves_a_stack_that_can_be_changed_again(
    cloudformation: Any, sagemaker: Any, hosting: Resources
) -> None:
    first = {"Model": hosting["Model"]}
    end(cloudformation, cloudformation.create_stack, StackName="sets", TemplateBody=template(first))
    second = {"Model": changed(hosting)["Model"], "Bad": {**BAD, "DependsOn": ["Model"]}}
    stack = execute(cloudformation, "bad", template(second))
    assert stack["StackStatus"] == "UPDATE_ROLLBACK_COMPLETE", reasons(cloudformation, stack)
    (model,) = sagemaker.list_models(NameContains="sets-")["Models"]
    assert sagemaker.list_tags(ResourceArn=model["ModelArn"])["Tags"] == [{"Key": "team", "Value": "dogs"}]

    del second["Bad"]
    stack = execute(cloudformation, "good", template(second))
    assert stack["StackStatus"] == "UPDATE_COMPLETE", reasons(cloudformation, stack)
    assert sagemaker.list_tags(ResourceArn=model["ModelArn"])["Tags"] == [{"Key": "team", "Value": "cats"}]
    remove(cloudformation, stack)
    assert nothing_of(sagemaker, "sets-")


def execute(cloudformation: Any, name: str, body: str) -> Any:
    """The stack `sets` after a change set."""
    names = {"StackName": "sets", "ChangeSetName": name}
    cloudformation.create_change_set(**names, ChangeSetType="UPDATE", TemplateBody=body)
    until(lambda: cloudformation.describe_change_set(**names)["Status"], lambda status: status == "CREATE_COMPLETE")
    cloudformation.execute_change_set(**names)
    until(
        lambda: cloudformation.describe_change_set(**names)["ExecutionStatus"],
        lambda status: status in ("EXECUTE_COMPLETE", "EXECUTE_FAILED"),
    )
    return cloudformation.describe_stacks(StackName="sets")["Stacks"][0]

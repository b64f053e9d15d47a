"""The tags of every kind of resource that can be created here, ours and moto's, by each API for tags."""

import json
from collections.abc import Callable
from typing import Any

import pytest
from botocore.exceptions import ClientError

from stagemaker.api.moto import RECORDS
from tests.contract.gateway import SERVER, Gateway

GIVEN = [{"Key": "team", "Value": "dogs"}]
ADDED = [{"Key": "cost", "Value": "1"}]
VPC = {"VpcId": "vpc-1", "SubnetIds": ["subnet-1"], "AuthMode": "IAM"}


ACCOUNT = "222222222222"  # of this module alone: moto cannot delete all that it makes


@pytest.fixture(scope="module")
def sagemaker(gateway: Gateway) -> Any:
    return gateway.client("sagemaker", ACCOUNT)


@pytest.fixture(scope="module")
def role(gateway: Gateway) -> str:
    statement = {"Effect": "Allow", "Principal": {"Service": "sagemaker.amazonaws.com"}, "Action": "sts:AssumeRole"}
    trust = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
    iam = gateway.client("iam", ACCOUNT)
    arn: str = iam.create_role(RoleName="tagged", AssumeRolePolicyDocument=trust)["Role"]["Arn"]
    return arn


def make_model(sagemaker: Any, role: str) -> str:
    arn: str = sagemaker.create_model(
        ModelName="tagged", PrimaryContainer={"Image": SERVER}, ExecutionRoleArn=role, Tags=GIVEN
    )["ModelArn"]
    return arn


def make_card(sagemaker: Any, role: str) -> str:
    card = {"ModelCardName": "tagged", "Content": "{}", "ModelCardStatus": "Draft", "Tags": GIVEN}
    arn: str = sagemaker.create_model_card(**card)["ModelCardArn"]
    sagemaker.update_model_card(ModelCardName="tagged", Content='{"version": 2}')
    return arn


def make_domain(sagemaker: Any, role: str) -> str:
    arn: str = sagemaker.create_domain(DomainName="tagged", DefaultUserSettings={"ExecutionRole": role}, Tags=GIVEN,
                                       **VPC)["DomainArn"]  # fmt: skip
    return arn


def make_pipeline(sagemaker: Any, role: str) -> str:
    arn: str = sagemaker.create_pipeline(PipelineName="tagged", RoleArn=role, PipelineDefinition="{}", Tags=GIVEN,
                                         ClientRequestToken="x" * 32)["PipelineArn"]  # fmt: skip
    return arn


def simply(operation: str, arn: str, **request: Any) -> Callable[[Any, str], str]:
    """Makes a resource by a request of its own, with the tags GIVEN."""

    def make(sagemaker: Any, role: str) -> str:
        made: str = getattr(sagemaker, operation)(**request, Tags=GIVEN)[arn]
        return made

    return make


KINDS: dict[str, Callable[[Any, str], str]] = {
    "CreateModel": make_model,
    "CreateModelCard": make_card,
    "CreateDomain": make_domain,
    "CreatePipeline": make_pipeline,
    "CreateExperiment": simply("create_experiment", "ExperimentArn", ExperimentName="tagged"),
    "CreateTrial": simply("create_trial", "TrialArn", TrialName="tagged", ExperimentName="tagged"),
    "CreateTrialComponent": simply("create_trial_component", "TrialComponentArn", TrialComponentName="tagged"),
    "CreateModelPackageGroup": simply(
        "create_model_package_group", "ModelPackageGroupArn", ModelPackageGroupName="tagged"
    ),
    "CreateModelPackage": simply("create_model_package", "ModelPackageArn", ModelPackageName="tagged-package"),
    "CreateNotebookInstanceLifecycleConfig": simply(
        "create_notebook_instance_lifecycle_config",
        "NotebookInstanceLifecycleConfigArn",
        NotebookInstanceLifecycleConfigName="tagged",
    ),
}


@pytest.fixture(scope="module")
def arns(sagemaker: Any, role: str) -> dict[str, str]:
    return {kind: make(sagemaker, role) for kind, make in KINDS.items()}


def test_every_kind_that_moto_creates_has_a_case() -> None:
    assert {name for name in RECORDS if name.startswith("Create")} <= KINDS.keys()


@pytest.mark.parametrize("kind", KINDS)
def test_tags_are_listed_added_and_deleted(sagemaker: Any, arns: dict[str, str], kind: str) -> None:
    arn = arns[kind]
    assert sagemaker.list_tags(ResourceArn=arn)["Tags"] == GIVEN
    assert sagemaker.add_tags(ResourceArn=arn, Tags=ADDED)["Tags"] == [*GIVEN, *ADDED]
    assert sagemaker.add_tags(ResourceArn=arn, Tags=ADDED)["Tags"] == [*GIVEN, *ADDED]
    sagemaker.delete_tags(ResourceArn=arn, TagKeys=["cost", "never"])
    assert sagemaker.list_tags(ResourceArn=arn)["Tags"] == GIVEN


def test_what_is_not_there_has_no_tags(sagemaker: Any, arns: dict[str, str]) -> None:
    gone = arns["CreateModelPackageGroup"] + "-gone"
    with pytest.raises(ClientError, match="Could not find resource") as caught:
        sagemaker.list_tags(ResourceArn=gone)
    assert caught.value.response["Error"]["Code"] == "ValidationException"


def test_get_resources_lists_all_of_them_and_what_others_have(gateway: Gateway, arns: dict[str, str]) -> None:
    tagging = gateway.client("resourcegroupstaggingapi", ACCOUNT)
    ecr = gateway.client("ecr", ACCOUNT).create_repository(repositoryName="tagged", tags=GIVEN)["repository"][
        "repositoryArn"
    ]
    expected = {*arns.values(), ecr}
    pages = tagging.get_paginator("get_resources").paginate(TagFilters=[{"Key": "team", "Values": ["dogs"]}],
                                                            ResourcesPerPage=4)  # fmt: skip
    found = [each["ResourceARN"] for page in pages for each in page["ResourceTagMappingList"]]
    assert sorted(found) == sorted(expected)
    of_type = tagging.get_resources(ResourceTypeFilters=["sagemaker:model", "ecr"])["ResourceTagMappingList"]
    assert {each["ResourceARN"] for each in of_type} == {arns["CreateModel"], ecr}
    assert all(each["Tags"] == GIVEN for each in of_type)
    assert tagging.get_resources(TagFilters=[{"Key": "team", "Values": ["cats"]}])["ResourceTagMappingList"] == []
    assert "team" in tagging.get_tag_keys()["TagKeys"]
    assert tagging.get_tag_values(Key="team")["TagValues"] == ["dogs"]


def test_tag_resources_changes_ours(gateway: Gateway, sagemaker: Any, arns: dict[str, str]) -> None:
    tagging = gateway.client("resourcegroupstaggingapi", ACCOUNT)
    model, group = arns["CreateModel"], arns["CreateModelPackageGroup"]
    answer = tagging.tag_resources(ResourceARNList=[model, group], Tags={"cost": "1"})
    assert answer["FailedResourcesMap"] == {}
    for arn in (model, group):
        assert sagemaker.list_tags(ResourceArn=arn)["Tags"] == [*GIVEN, *ADDED]
    assert tagging.untag_resources(ResourceARNList=[model, group], TagKeys=["cost"])["FailedResourcesMap"] == {}
    assert sagemaker.list_tags(ResourceArn=model)["Tags"] == GIVEN


def test_what_cannot_be_tagged_is_a_failed_resource(gateway: Gateway, arns: dict[str, str]) -> None:
    tagging = gateway.client("resourcegroupstaggingapi", ACCOUNT)
    many = {f"key-{number}": json.dumps(number) for number in range(50)}
    failed = tagging.tag_resources(ResourceARNList=[arns["CreateModel"]], Tags=many)["FailedResourcesMap"]
    assert failed[arns["CreateModel"]]["StatusCode"] == 400

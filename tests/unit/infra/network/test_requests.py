"""Requests of jobs and models in a VPC, and the rules of their security group."""

import json
from dataclasses import replace
from typing import Any

import pytest

from infra import resource_policies, roles
from infra.blueprint import Blueprint
from infra.network.requests import Vpc, rules, rules_as_text, with_group_id
from infra.network.settings import NetworkSettings
from infra.settings import DeploymentSettings
from tests.unit.infra.aws_shapes import check

PLAIN = Blueprint(DeploymentSettings(project="dogs"), "123456789012", "ab" * 32)
VPC = Vpc("vpc-0a1b2c3d", ("subnet-01234567", "subnet-89abcdef"), ("rtb-01234567",))
INSIDE = replace(PLAIN, settings=replace(PLAIN.settings, network=NetworkSettings()), vpc=VPC)
CONFIG = {"SecurityGroupIds": ["dogs-jobs-vpc-0a1b2c3d"], "Subnets": ["subnet-01234567", "subnet-89abcdef"]}


def requests(blueprint: Blueprint) -> dict[str, dict[str, Any]]:
    return {
        "CreateTrainingJob": blueprint.training_request(blueprint.settings.models[0]),
        "CreateModel": blueprint.model_request("job"),
        "CreateHyperParameterTuningJob": blueprint.tuning_request(),
    }


@pytest.mark.parametrize("operation", ["CreateTrainingJob", "CreateModel", "CreateHyperParameterTuningJob"])
def test_jobs_and_models_run_in_the_vpc(operation: str) -> None:
    request, key = requests(INSIDE)[operation], "TrainingJobDefinition"
    assert request.get(key, request)["VpcConfig"] == CONFIG
    assert "VpcConfig" not in requests(PLAIN)[operation].get(key, requests(PLAIN)[operation])
    sent = {**request, key: with_group_id(request[key], "sg-01234567")} if key in request else request
    check("sagemaker", operation, sent if key in request else with_group_id(request, "sg-01234567"))


def test_in_another_network_nothing_is_trained_anew_and_the_model_moves() -> None:
    plain, inside = requests(PLAIN), requests(INSIDE)
    assert plain["CreateTrainingJob"]["TrainingJobName"] == inside["CreateTrainingJob"]["TrainingJobName"]
    name = "HyperParameterTuningJobName"
    assert plain["CreateHyperParameterTuningJob"][name] == inside["CreateHyperParameterTuningJob"][name]
    assert plain["CreateModel"]["ModelName"] != inside["CreateModel"]["ModelName"]


def test_out_goes_https_and_in_comes_only_what_is_of_the_group() -> None:
    assert rules_as_text(*rules("sg-1")) == [
        "all ports in from sg-1", "all ports out to sg-1", "tcp 443 out to 0.0.0.0/0",
    ]  # fmt: skip


def test_only_roles_in_a_vpc_may_attach_networks() -> None:
    for role_of in (roles.training, roles.hosting):
        assert "AttachNetwork" in {one.sid for one in role_of(INSIDE).statements}
        assert "AttachNetwork" not in {one.sid for one in role_of(PLAIN).statements}
        assert len(json.dumps(role_of(INSIDE).policy)) < 10_240


def test_the_gateway_endpoint_lets_only_the_own_bucket_and_two_of_aws_through() -> None:
    statements = resource_policies.s3_endpoint(INSIDE).statements
    assert [about for one in statements for about in one.resources] == [
        "arn:aws:s3:::dogs-123456789012-us-east-1",
        "arn:aws:s3:::dogs-123456789012-us-east-1/*",
        "arn:aws:s3:::prod-us-east-1-starport-layer-bucket/*",
        "arn:aws:s3:::al2023-repos-us-east-1-de612dc2/*",
    ]
    assert all(one.document["Principal"] == "*" for one in statements)

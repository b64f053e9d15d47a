"""Every request must be one that AWS takes: checked against botocore's own models, patterns and lengths included."""

import json
import re
from dataclasses import replace
from typing import Any

import botocore.session
import pytest
from botocore.model import ListShape, MapShape, Shape, StructureShape
from botocore.validate import ParamValidator

from infra.blueprint import VARIANT, Blueprint, Role
from infra.settings import DeploymentSettings, FunctionSettings, Ranges

SETTINGS = DeploymentSettings(hyperparameters={"epochs": "3"})
BLUEPRINT = Blueprint(SETTINGS, "123456789012", "ab" * 32)
LONGEST = Blueprint(DeploymentSettings(project="a" * 20, region="ap-northeast-1"), "123456789012", "cd" * 32)


def problems(shape: Shape, value: Any, path: str = "") -> list[str]:
    """What breaks the pattern, length or enumeration of a shape, which ParamValidator does not look at."""
    if isinstance(shape, StructureShape):
        return [p for name, one in value.items() for p in problems(shape.members[name], one, f"{path}.{name}")]
    if isinstance(shape, ListShape):
        return [p for one in value for p in problems(shape.member, one, f"{path}[]")]
    if isinstance(shape, MapShape):
        return [p for name, one in value.items() for p in problems(shape.value, one, f"{path}.{name}")]
    rules = shape.metadata
    found = []
    if isinstance(value, str):
        if rules.get("enum") and value not in rules["enum"]:
            found.append(f"{path}: {value} is not one of the enumeration")
        if len(value) > rules.get("max", len(value)):
            found.append(f"{path}: {value} is too long")
        pattern = rules.get("pattern", "")
        if r"\p" not in pattern and pattern and not re.fullmatch(pattern, value):
            found.append(f"{path}: {value} does not match {pattern}")
    return found


def check(service: str, operation: str, request: dict[str, Any]) -> None:
    shape = botocore.session.get_session().get_service_model(service).operation_model(operation).input_shape
    report = ParamValidator().validate(request, shape)
    assert not report.has_errors(), report.generate_report()
    assert problems(shape, request) == []


@pytest.mark.parametrize("blueprint", [BLUEPRINT, LONGEST, replace(BLUEPRINT, pretrained=True)])
class TestRequests:
    def test_training_job(self, blueprint: Blueprint) -> None:
        check("sagemaker", "CreateTrainingJob", blueprint.training_request())
        check("sagemaker", "CreateTrainingJob", blueprint.training_request(attempt=20))

    def test_tuning_job(self, blueprint: Blueprint) -> None:
        ranges = Ranges({"learning-rate": ("0.0003", "0.03")}, {"batch-size": ("32", "64")})
        settings = replace(blueprint.settings, ranges=ranges, hyperparameters={"batch-size": "16", "epochs": "3"})
        request = replace(blueprint, settings=settings).tuning_request()
        check("sagemaker", "CreateHyperParameterTuningJob", request)
        assert len(request["HyperParameterTuningJobName"]) <= 32
        assert request["TrainingJobDefinition"]["StaticHyperParameters"] == {"epochs": "3"}
        again = replace(blueprint, settings=settings).tuning_request(attempt=2)
        assert again["HyperParameterTuningJobName"] != request["HyperParameterTuningJobName"]

    def test_model(self, blueprint: Blueprint) -> None:
        name = blueprint.training_request(20)["TrainingJobName"]
        uri = f"s3://{blueprint.bucket}/models/{name}/output/model.tar.gz"
        request = blueprint.model_request(name)
        check("sagemaker", "CreateModel", request)
        assert request["PrimaryContainer"]["ModelDataUrl"] == uri

    def test_endpoint(self, blueprint: Blueprint) -> None:
        request = blueprint.endpoint_config_request(blueprint.training_request()["TrainingJobName"])
        check("sagemaker", "CreateEndpointConfig", request)
        names = {"EndpointName": blueprint.endpoint, "EndpointConfigName": request["EndpointConfigName"]}
        check("sagemaker", "CreateEndpoint", names)

    def test_function(self, blueprint: Blueprint) -> None:
        check("lambda", "CreateFunction", {**blueprint.function_request(), "Code": {"ZipFile": b"zip"}})

    def test_function_url(self, blueprint: Blueprint) -> None:
        check("lambda", "CreateFunctionUrlConfig", blueprint.function_url_request())
        for request in blueprint.function_url_permissions():
            check("lambda", "AddPermission", request)

    def test_roles(self, blueprint: Blueprint) -> None:
        for role in (blueprint.sagemaker_role(), blueprint.lambda_role()):
            trust, policy = json.dumps(role.trust), json.dumps(role.policy)
            check("iam", "CreateRole", {"RoleName": role.name, "AssumeRolePolicyDocument": trust})
            names = {"RoleName": role.name, "PolicyName": role.policy_name}
            check("iam", "PutRolePolicy", {**names, "PolicyDocument": policy})
            assert len(policy) < 10_240, "IAM's limit for a role's inline policies"

    def test_bucket(self, blueprint: Blueprint) -> None:
        assert re.fullmatch(r"[a-z0-9][a-z0-9-]{1,61}[a-z0-9]", blueprint.bucket)


def test_the_same_settings_and_data_give_the_same_names() -> None:
    assert Blueprint(SETTINGS, "123456789012", "ab" * 32).training_request() == BLUEPRINT.training_request()


@pytest.mark.parametrize(
    "other",
    [
        replace(BLUEPRINT, data_digest="00" * 32),
        replace(BLUEPRINT, settings=replace(SETTINGS, hyperparameters={"epochs": "4"})),
        replace(BLUEPRINT, settings=replace(SETTINGS, training_instance_type="ml.g5.xlarge")),
        replace(BLUEPRINT, pretrained=True),
    ],
)
def test_other_settings_or_data_give_another_job(other: Blueprint) -> None:
    assert other.training_request()["TrainingJobName"] != BLUEPRINT.training_request()["TrainingJobName"]


def test_each_attempt_has_a_name_of_its_own_and_the_same_content() -> None:
    first, second = BLUEPRINT.training_request(), BLUEPRINT.training_request(2)
    assert second.pop("TrainingJobName") == first.pop("TrainingJobName") + "-2"
    assert first == second


def test_channels() -> None:
    def names(blueprint: Blueprint) -> list[str]:
        return [channel["ChannelName"] for channel in blueprint.training_request()["InputDataConfig"]]

    assert names(BLUEPRINT) == ["train", "valid"]
    assert names(replace(BLUEPRINT, pretrained=True)) == ["train", "valid", "pretrained"]


def test_one_variant_takes_all_traffic() -> None:
    (variant,) = BLUEPRINT.endpoint_config_request("a-model")["ProductionVariants"]
    assert (variant["VariantName"], variant["ModelName"]) == (VARIANT, "a-model")


def allowed(role: Role) -> dict[str, Any]:
    return {statement["Sid"]: statement for statement in role.policy["Statement"]}


def test_the_function_may_only_invoke_its_endpoint_and_write_its_log() -> None:
    statements = allowed(BLUEPRINT.lambda_role())
    assert statements.keys() == {"InvokeOneEndpoint", "WriteLogs"}
    assert statements["InvokeOneEndpoint"]["Action"] == ["sagemaker:InvokeEndpoint"]
    arn = "arn:aws:sagemaker:us-east-1:123456789012:endpoint/stagemaker-demo"
    assert statements["InvokeOneEndpoint"]["Resource"] == arn


def test_no_role_may_do_everything_or_touch_everything() -> None:
    for role in (BLUEPRINT.sagemaker_role(), BLUEPRINT.lambda_role()):
        for statement in role.policy["Statement"]:
            assert statement["Effect"] == "Allow"
            assert not any("*" in action for action in statement["Action"])
            if statement["Resource"] == "*":
                assert statement["Sid"] in ("WriteMetrics", "LogInToRegistry"), "these actions know no resources"


def test_roles_trust_only_their_service() -> None:
    assert BLUEPRINT.sagemaker_role().trust["Statement"][0]["Principal"] == {"Service": "sagemaker.amazonaws.com"}
    assert BLUEPRINT.lambda_role().trust["Statement"][0]["Principal"] == {"Service": "lambda.amazonaws.com"}


def test_a_function_url_is_for_the_pages_that_are_named() -> None:
    assert BLUEPRINT.function_url_request()["Cors"] == {}
    origins = ("http://localhost:3000",)
    settings = replace(SETTINGS, function=FunctionSettings(has_url=True, origins=origins))
    cors = replace(BLUEPRINT, settings=settings).function_url_request()["Cors"]
    assert (cors["AllowOrigins"], cors["AllowMethods"]) == (list(origins), ["POST"])

"""Every request must be one that AWS takes: checked against botocore's own models, patterns and lengths included."""

import json
import re
from dataclasses import replace
from typing import Any

import botocore.session
import pytest
from botocore.model import ListShape, MapShape, Shape, StructureShape
from botocore.validate import ParamValidator

from infra.blueprint import VARIANT, Blueprint, Role, scalable, scaling_requests
from infra.settings import (
    DeploymentSettings,
    FunctionSettings,
    ModelSettings,
    Ranges,
    ScalingSettings,
    TrainingSettings,
    TuningSettings,
)

MODEL = ModelSettings()
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
        is_java = r"\p" in pattern or r"\u" in pattern
        if pattern and not is_java and not re.fullmatch(pattern, value):
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
        check("sagemaker", "CreateTrainingJob", blueprint.training_request(MODEL))
        check("sagemaker", "CreateTrainingJob", blueprint.training_request(MODEL, attempt=20))

    def test_tuning_job(self, blueprint: Blueprint) -> None:
        ranges = Ranges({"learning-rate": ("0.0003", "0.03")}, {"batch-size": ("32", "64")})
        tuning = TuningSettings(ranges=ranges)
        settings = replace(blueprint.settings, tuning=tuning, hyperparameters={"batch-size": "16", "epochs": "3"})
        request = replace(blueprint, settings=settings).tuning_request()
        check("sagemaker", "CreateHyperParameterTuningJob", request)
        assert len(request["HyperParameterTuningJobName"]) <= 32
        assert request["TrainingJobDefinition"]["StaticHyperParameters"] == {"epochs": "3"}
        again = replace(blueprint, settings=settings).tuning_request(attempt=2)
        assert again["HyperParameterTuningJobName"] != request["HyperParameterTuningJobName"]

    def test_model(self, blueprint: Blueprint) -> None:
        name = blueprint.training_request(MODEL, 20)["TrainingJobName"]
        uri = f"s3://{blueprint.bucket}/models/{name}/output/model.tar.gz"
        request = blueprint.model_request(name)
        check("sagemaker", "CreateModel", request)
        assert request["PrimaryContainer"]["ModelDataUrl"] == uri

    def test_endpoint(self, blueprint: Blueprint) -> None:
        request = blueprint.endpoint_config_request(MODEL, blueprint.training_request(MODEL)["TrainingJobName"])
        check("sagemaker", "CreateEndpointConfig", request)
        names = {"EndpointName": blueprint.endpoint(MODEL), "EndpointConfigName": request["EndpointConfigName"]}
        check("sagemaker", "CreateEndpoint", names)

    def test_scaling(self, blueprint: Blueprint) -> None:
        target, policy = scaling_requests(scalable(blueprint.endpoint(MODEL)), ScalingSettings(1, 4, 25, 30, 5))
        check("application-autoscaling", "RegisterScalableTarget", target)
        check("application-autoscaling", "PutScalingPolicy", policy)

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
    assert Blueprint(SETTINGS, "123456789012", "ab" * 32).training_request(MODEL) == BLUEPRINT.training_request(MODEL)


@pytest.mark.parametrize(
    "other",
    [
        replace(BLUEPRINT, data_digest="00" * 32),
        replace(BLUEPRINT, settings=replace(SETTINGS, hyperparameters={"epochs": "4"})),
        replace(BLUEPRINT, pretrained=True),
    ],
)
def test_other_settings_or_data_give_another_job(other: Blueprint) -> None:
    assert other.training_request(MODEL)["TrainingJobName"] != BLUEPRINT.training_request(MODEL)["TrainingJobName"]


@pytest.mark.parametrize("training", [TrainingSettings("ml.g5.xlarge"), TrainingSettings(instances=2)])
def test_another_training_has_another_job(training: TrainingSettings) -> None:
    other = BLUEPRINT.training_request(ModelSettings(training=training))
    assert other["TrainingJobName"] != BLUEPRINT.training_request(MODEL)["TrainingJobName"]


def test_models_that_are_trained_alike_have_one_job_and_an_endpoint_each() -> None:
    one, two = ModelSettings("one"), ModelSettings("two")
    blueprint = replace(
        BLUEPRINT, settings=replace(SETTINGS, models=(one, two), function=FunctionSettings(model="two"))
    )
    assert blueprint.training_request(one) == blueprint.training_request(two)
    assert blueprint.endpoints == ["stagemaker-demo-one", "stagemaker-demo-two"]
    assert blueprint.called_endpoint == "stagemaker-demo-two"
    assert blueprint.function_request()["Environment"]["Variables"]["ENDPOINT_NAME"] == "stagemaker-demo-two"
    assert "endpoint/stagemaker-demo-two" in str(blueprint.lambda_role().policy)
    assert "endpoint/stagemaker-demo-one" not in str(blueprint.lambda_role().policy)
    for endpoint in blueprint.endpoints:
        assert f"log-group:/aws/sagemaker/Endpoints/{endpoint}:*" in str(blueprint.sagemaker_role().policy)


def test_a_loss_is_made_small() -> None:
    settings = replace(SETTINGS, tuning=TuningSettings(objective="validation:loss"))
    request = replace(BLUEPRINT, settings=settings).tuning_request()
    objective = request["HyperParameterTuningJobConfig"]["HyperParameterTuningJobObjective"]
    assert objective == {"Type": "Minimize", "MetricName": "validation:loss"}


def test_tags_of_the_settings() -> None:
    made = replace(BLUEPRINT, settings=replace(SETTINGS, tags={"team": "dogs"}))
    assert {"Key": "team", "Value": "dogs"} in made.tags
    assert BLUEPRINT.tags[0] in made.tags


def test_each_attempt_has_a_name_of_its_own_and_the_same_content() -> None:
    first, second = BLUEPRINT.training_request(MODEL), BLUEPRINT.training_request(MODEL, 2)
    assert second.pop("TrainingJobName") == first.pop("TrainingJobName") + "-2"
    assert first == second


def test_channels() -> None:
    def names(blueprint: Blueprint) -> list[str]:
        return [channel["ChannelName"] for channel in blueprint.training_request(MODEL)["InputDataConfig"]]

    assert names(BLUEPRINT) == ["train", "valid"]
    assert names(replace(BLUEPRINT, pretrained=True)) == ["train", "valid", "pretrained"]


def test_one_variant_takes_all_traffic() -> None:
    (variant,) = BLUEPRINT.endpoint_config_request(MODEL, "a-model")["ProductionVariants"]
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
    settings = replace(SETTINGS, function=FunctionSettings(url=True, origins=origins))
    cors = replace(BLUEPRINT, settings=settings).function_url_request()["Cors"]
    assert (cors["AllowOrigins"], cors["AllowMethods"]) == (list(origins), ["POST"])

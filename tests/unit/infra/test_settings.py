from typing import Any

import pytest

from infra.settings import (
    DeploymentSettings,
    EndpointSettings,
    FunctionSettings,
    ModelSettings,
    ScalingSettings,
    TrainingSettings,
    TuningSettings,
)


@pytest.mark.parametrize("project", ["dogs", "stagemaker-demo", "a1", "a" * 20])
def test_good_projects(project: str) -> None:
    assert DeploymentSettings(project=project).project == project


@pytest.mark.parametrize("project", ["", "a", "Dogs", "1dogs", "dogs-", "-dogs", "do--gs", "d_gs", "dögs", "a" * 21])
def test_bad_projects(project: str) -> None:
    with pytest.raises(ValueError, match="project name"):
        DeploymentSettings(project=project)


@pytest.mark.parametrize("region", ["", "us-east", "US-EAST-1", "local"])
def test_bad_regions(region: str) -> None:
    with pytest.raises(ValueError, match="region"):
        DeploymentSettings(region=region)


@pytest.mark.parametrize("account", ["", "12345678901", "1234567890123", "12345678901a"])
def test_what_is_no_account(account: str) -> None:
    with pytest.raises(ValueError, match="12 digits"):
        DeploymentSettings(account=account)


def test_who_may_call_an_address() -> None:
    assert FunctionSettings(url_auth="NONE").url_auth == "NONE"
    with pytest.raises(ValueError, match="Lambda knows AWS_IAM and NONE"):
        FunctionSettings(url_auth="anybody")


def test_bad_system() -> None:
    with pytest.raises(ValueError, match="A, B, C, E"):
        FunctionSettings(system="D")


@pytest.mark.parametrize("reserved", [None, 0, 3, 900])
def test_what_aws_can_reserve(reserved: int | None) -> None:
    assert FunctionSettings(reserved=reserved).reserved == reserved


@pytest.mark.parametrize(("reserved", "provisioned"), [(-1, 0), (901, 0), (None, -1), (None, 901), (2, 3), (0, 1)])
def test_what_aws_cannot_reserve(reserved: int | None, provisioned: int) -> None:
    with pytest.raises(ValueError, match="reserved"):
        FunctionSettings(reserved=reserved, provisioned=provisioned)


@pytest.mark.parametrize("origin", ["", "*", "localhost:3000", "http://localhost:3000/", "ftp://a", "https://a b"])
def test_what_is_no_origin(origin: str) -> None:
    with pytest.raises(ValueError, match="is not the origin of a page"):
        FunctionSettings(origins=(origin,))


@pytest.mark.parametrize("size", [{"memory_mb": 127}, {"memory_mb": 10_241}, {"timeout_s": 0}, {"timeout_s": 901}])
def test_a_function_that_lambda_would_not_take(size: dict[str, int]) -> None:
    with pytest.raises(ValueError, match="Lambda takes"):
        FunctionSettings(**size)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "wrong",
    [{"instances": 0}, {"volume_gb": 0}, {"limit_s": 0}, {"limit_s": 28 * 86_400 + 1}, {"instance_type": "m5.large"}],
)
def test_a_training_that_aws_would_not_take(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"AWS takes|is not an instance type"):
        TrainingSettings(**wrong)


@pytest.mark.parametrize(("least", "most", "target"), [(0, 1, 5), (2, 1, 5), (1, 2, 0), (1, 2, -1)])
def test_a_scaling_that_aws_would_not_take(least: int, most: int, target: float) -> None:
    with pytest.raises(ValueError, match="the target above 0"):
        ScalingSettings(least, most, target)


@pytest.mark.parametrize("cooldown", ["scale_in_cooldown_s", "scale_out_cooldown_s"])
def test_a_cooldown_is_not_negative(cooldown: str) -> None:
    with pytest.raises(ValueError, match="0 s or more"):
        ScalingSettings(1, 2, 5, **{cooldown: -1})


def test_an_endpoint_begins_with_what_its_scaling_allows() -> None:
    with pytest.raises(ValueError, match="1 instances to begin with, and scaling has 2 to 3"):
        EndpointSettings(scaling=ScalingSettings(2, 3, 5))
    with pytest.raises(ValueError, match="AWS takes 1 or more"):
        EndpointSettings(instances=0)


@pytest.mark.parametrize("name", ["Single", "1st", "a-b", "a" * 21])
def test_bad_names_of_a_model(name: str) -> None:
    with pytest.raises(ValueError, match="The name of a model"):
        ModelSettings(name)


@pytest.mark.parametrize("names", [[], ["a", "a"], ["a", ""]])
def test_several_models_have_names_of_their_own(names: list[str]) -> None:
    with pytest.raises(ValueError, match="several must each have a name"):
        DeploymentSettings(models=tuple(ModelSettings(name) for name in names))


def test_the_function_calls_a_model_that_there_is() -> None:
    models = (ModelSettings("one"), ModelSettings("two"))
    assert DeploymentSettings(models=models).called_model.name == "one"
    assert DeploymentSettings(models=models, function=FunctionSettings(model="two")).called_model.name == "two"
    with pytest.raises(ValueError, match="calls the model 'three'"):
        DeploymentSettings(models=models, function=FunctionSettings(model="three"))


@pytest.mark.parametrize("wrong", [{"objective": "speed"}, {"strategy": "Guess"}, {"early_stopping": "On"}])
def test_a_search_that_aws_would_not_take(wrong: dict[str, str]) -> None:
    with pytest.raises(ValueError, match="must be one of"):
        TuningSettings(**wrong)  # type: ignore[arg-type]


def test_aws_and_stagemaker_have_tags_of_their_own() -> None:
    with pytest.raises(ValueError, match="The tag 'aws:x' cannot be given"):
        DeploymentSettings(tags={"team": "dogs", "aws:x": "1"})


@pytest.mark.parametrize("wrong", [{"max_wait_s": 7200}, {"spot": True, "max_wait_s": 3599}])
def test_only_spot_has_a_wait_and_it_is_not_below_the_limit(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="only a job with spot = true has it"):
        TrainingSettings(**wrong)
    assert TrainingSettings(spot=True, max_wait_s=3600).wait_limit_s == 3600
    assert TrainingSettings(spot=True, limit_s=60).wait_limit_s == 120

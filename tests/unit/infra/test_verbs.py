"""The verb `plan`, from its arguments to what it writes, with fake clients."""

import json
from pathlib import Path
from typing import Any

import pytest

from infra import cli, verbs
from infra.clients import Clients
from infra.prices import prices
from tests.unit.infra.fakes import FakeClient, fake_clients, missing
from tests.unit.infra.photos import write_set


def nothing_there() -> Clients:
    """Clients of an account that has nothing."""
    described = (
        "describe_training_job", "describe_model", "describe_endpoint_config", "describe_endpoint",
    )  # fmt: skip
    listed: dict[str, Any] = {
        "list_training_jobs": {"TrainingJobSummaries": []},
        "list_hyper_parameter_tuning_jobs": {"HyperParameterTuningJobSummaries": []},
        "list_models": {"Models": []},
        "list_endpoint_configs": {"EndpointConfigs": []},
        "list_endpoints": {"Endpoints": []},
    }
    functions = ("get_function", "get_function_configuration", "get_alias", "get_function_url_config")
    gone = missing("ResourceNotFoundException")
    answers: dict[str, dict[str, Any]] = {
        "sagemaker": {name: missing() for name in described} | listed,
        "s3": {
            "head_bucket": missing("404"),
            "get_object": missing("NoSuchKey"),
            "list_objects_v2": missing("NoSuchBucket"),
        },
        "iam": {"get_role": missing("NoSuchEntity")},
        "lambda_": dict.fromkeys(functions, gone),
        "logs": {"describe_log_groups": {"logGroups": []}},
    }
    return fake_clients(**{name: FakeClient(found) for name, found in answers.items()})


@pytest.fixture
def plan(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> list[str]:
    """The first arguments of a plan in an account that has nothing, with a small data set."""
    monkeypatch.setattr(verbs, "connect_to", lambda *_: nothing_there())
    for name in ("HOURS", "PRESET", "RESERVED", "PROVISIONED", "FUNCTION_URL", "ORIGIN"):
        monkeypatch.delenv(name, raising=False)
    return ["plan", "--data", str(write_set(tmp_path / "set"))]


def test_the_plan_and_its_cost_are_one_json_document(plan: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main([*plan, "--preset", "c", "--hours", "0.5", "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    steps = document["plan"]["steps"]
    assert {"title": "Bucket", "action": "create"}.items() <= steps[0].items()
    cost = document["cost"]
    assert cost["unknown"] == []
    gpu = prices.read().find("training", "ml.g4dn.xlarge", "us-east-1")
    assert gpu is not None
    assert cost["total"]["estimated"] == pytest.approx((1 + 2 + 2) * 0.5 * gpu.usd)
    assert cost["lines"][0]["what"] == "endpoint dogs-c-single: 1 to 3 x ml.m5.large"


def test_the_cost_comes_after_the_plan(plan: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(plan) == 0
    said = capsys.readouterr().out
    assert (
        said.index("to create.") < said.index("On AWS this would cost") < said.index("Prices of us-east-1, the oldest")
    )


def test_a_destruction_costs_nothing(plan: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main([*plan, "--destroy", "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == {"plan": {"steps": []}, "cost": None}


@pytest.mark.parametrize("hours", ["0", "-1", "nan", "inf", "673", "soon"])
def test_hours_that_no_job_can_take_are_refused(
    hours: str, plan: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        cli.main([*plan, f"--hours={hours}"])
    assert ended.value.code == 2
    assert "not a number of hours" in capsys.readouterr().err

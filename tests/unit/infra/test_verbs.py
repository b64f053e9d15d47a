"""The verb `plan`, from its arguments to what it writes, with fake clients."""

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from infra import cli, verbs
from infra.clients import Clients
from infra.prices import prices
from tests.unit.infra.fakes import FakeClient, fake_clients, missing
from tests.unit.infra.photos import write_set
from tests.unit.infra.stage import saying


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
            "get_object": missing("NoSuchKey"),
            "list_objects_v2": missing("NoSuchBucket"),
        },
        "lambda_": dict.fromkeys(functions, gone),
        "logs": {"describe_log_groups": {"logGroups": []}},
    }
    return fake_clients(**{name: FakeClient(found) for name, found in answers.items()})


@pytest.fixture
def plan(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[list[str]]:
    """The first arguments of a plan in an account that has nothing, with a small data set, on a stage that has notebook
    instances."""
    for name in ("HOURS", "OVER_BUDGET", "PRESET", "RESERVED", "PROVISIONED", "FUNCTION_URL", "ORIGIN"):
        monkeypatch.delenv(name, raising=False)
    with saying('{"WhyNone": ""}') as (url, _):
        clients = replace(nothing_there(), endpoint=url)
        monkeypatch.setattr(verbs, "connect_to", lambda *_: clients)
        yield ["plan", "--data", str(write_set(tmp_path / "set"))]


def test_the_plan_and_its_cost_are_one_json_document(plan: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main([*plan, "--preset", "c", "--hours", "0.5", "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    steps = document["plan"]["steps"]
    assert {"title": "Bucket", "action": "create"}.items() <= steps[0].items()
    cost = document["cost"]
    assert cost["unknown"] == []
    gpu = prices.read().find("training", "ml.g4dn.xlarge", "us-east-1")
    assert gpu is not None
    jobs = [line["estimated"] for line in cost["lines"] if line["kind"] in ("training", "tuning")]
    assert sum(jobs) == pytest.approx((1 + 2 + 2) * 0.5 * gpu.usd)
    assert cost["lines"][0]["what"] == "endpoint dogs-c-single: 1 to 3 x ml.m5.large"


def test_the_cost_comes_after_the_plan(plan: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(plan) == 0
    said = capsys.readouterr().out
    assert (
        said.index("to create.") < said.index("On AWS this would cost") < said.index("Prices of us-east-1, the oldest")
    )


def test_the_document_has_quotas_advice_and_the_budget(plan: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main([*plan, "--preset", "c", "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    quotas = {need["name"]: need for need in document["quotas"]["needs"]}
    assert quotas["ml.g4dn.xlarge for training job usage"]["verdict"] == "not known"
    assert document["quotas"]["problem"].startswith("AWS was not asked")
    assert {"subject": "training on ml.g4dn.xlarge", "instead": "spot"}.items() <= document["advice"][0].items()
    assert document["budget"]["exceeded"] == []


BUDGET = """
[budget]
at_worst_usd = 1.0
"""


@pytest.fixture
def small_budget(plan: list[str], tmp_path: Path) -> list[str]:
    """What comes after a verb, for a deployment that costs more than it may."""
    preset = tmp_path / "small.toml"
    preset.write_text(BUDGET)
    return [*plan[1:], "--preset", str(preset)]


def test_a_plan_says_what_is_over_the_budget(small_budget: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["plan", *small_budget]) == 0
    said = capsys.readouterr().out
    assert "at worst, and the budget is $1.00. Most of it: $" in said


@pytest.mark.parametrize("verb", ["deploy", "train", "tune"])
def test_what_is_over_the_budget_is_not_begun(
    verb: str, small_budget: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main([verb, *small_budget]) == 1
    said = capsys.readouterr().out
    assert "and the budget is $1.00" in said
    assert "--over-budget" in said


def test_the_budget_can_be_overruled(
    small_budget: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    applied: list[object] = []
    monkeypatch.setattr(verbs, "_apply", lambda resources, _: applied.extend(resources))
    assert cli.main(["deploy", *small_budget, "--over-budget"]) == 0, capsys.readouterr().out
    assert applied


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

"""What a plan for AWS says: prices that AWS told before those of the table, quotas, and where it could not ask."""

import datetime
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from infra import presets
from infra.clients import Clients, connect
from infra.estimate import Estimate, estimate, exceeded
from infra.settings import BudgetSettings, DeploymentSettings
from tests.aws.account import Account, product, quota
from tests.aws.pretended_aws import Keys, PretendedAws, pretending
from tests.aws.rules import Fault
from tests.aws.wire import AwsError

TODAY = datetime.date(2026, 11, 27)
READING = ("Describe", "Get", "List")
TRAINING = "ml.g4dn.xlarge for training job usage"


@pytest.fixture
def aws(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[PretendedAws]:
    """AWS, reached as `python -m infra ... --target aws` reaches it, and asked only what tells."""
    account = Account(
        defaults=[quota("sagemaker", TRAINING, "L-3F53BF0F", 0.0)],
        products={"AmazonSageMaker": [product("USE1-Train:ml.g4dn.xlarge", "us-east-1", (0, "0.7000000000"))]},
        spot={"g4dn.xlarge": {"us-east-1a": "0.263000"}},
    )
    folder = tmp_path / "proxy"
    folder.mkdir()
    monkeypatch.setenv("STAGEMAKER_STATE", str(tmp_path / "state"))
    with pretending(account, folder, Keys("AKIATEST", "secret")) as started:
        for name, value in started.environment().items():
            monkeypatch.setenv(name, value)
        yield started
        asked = {call.operation for call in started.calls()}
        assert {name for name in asked if not name.startswith(READING)} == set()


@pytest.fixture
def clients(aws: PretendedAws) -> Clients:
    """Of the account."""
    return connect("aws", "us-east-1")


def of_c(clients: Clients) -> Estimate:
    settings = replace(presets.read(presets.find("c")), ec2=None)
    return estimate(settings, 0, clients, TODAY, 1.0)


def test_what_aws_tells_is_before_the_table(clients: Clients) -> None:
    found = of_c(clients)
    job = next(line for line in found.cost.lines if line.kind == "training")
    assert job.price is not None
    assert (job.price.usd, job.price.read) == (0.7, TODAY)
    endpoint = next(line for line in found.cost.lines if line.kind == "endpoint")
    assert endpoint.price is not None
    assert endpoint.price.read < TODAY, "the table has what AWS did not tell"
    assert any("AWS itself for 1 of " in line for line in found.lines())
    spot = next(one for one in found.advice if one.instead == "spot")
    assert spot.saved == pytest.approx(0.5)
    assert found.problem == ""


def test_a_quota_of_a_new_account_stands_in_the_way(clients: Clients) -> None:
    said = of_c(clients).lines()
    place = next(n for n, line in enumerate(said) if TRAINING in line)
    assert said[place].startswith("too low (0) ")
    assert said[place + 1].strip().endswith("--quota-code L-3F53BF0F --desired-value 3")


def test_without_rights_the_table_is_used_and_this_is_said(aws: PretendedAws, clients: Clients) -> None:
    denied = AwsError("AccessDeniedException", "not authorized")
    with aws.injected(Fault("pricing", error=denied), Fault("service-quotas", error=denied)):
        found = of_c(clients)
    said = found.lines()
    assert "AWS refused to tell prices: AccessDeniedException." in said
    assert "Service Quotas refused: AccessDeniedException: check these yourself." in said
    assert found.cost.unknown == ()
    assert found.document()["cost"]["problem"] == "AWS refused to tell prices: AccessDeniedException"


def test_a_budget_is_judged_by_the_prices_that_aws_tells(aws: PretendedAws, clients: Clients) -> None:
    aws.forget()
    assert exceeded(DeploymentSettings(), 0, clients, TODAY) == ()
    assert aws.calls() == [], "without a budget nothing is asked"
    settings = replace(presets.read(presets.find("c")), ec2=None, budget=BudgetSettings(at_worst_usd=1.0))
    (found,) = exceeded(settings, 0, clients, TODAY)
    assert found.column == "at_worst"
    assert aws.calls("pricing") != []

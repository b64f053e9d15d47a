"""A plan asks AWS for quotas and prices over the wire, and changes nothing in the account."""

import datetime
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from infra import quotas
from infra.prices import price_list
from infra.prices.price_list import Answer
from infra.prices.prices import Key
from infra.quotas import Need
from tests.aws.account import Account, product, quota
from tests.aws.pretended_aws import Keys, PretendedAws, pretending
from tests.aws.rules import Fault
from tests.aws.wire import AwsError

TODAY = datetime.date(2026, 11, 27)
REGION = "eu-west-1"
TRAINING = "ml.g4dn.xlarge for training job usage"
ENDPOINT = "ml.m5.large for endpoint usage"
DENIED = AwsError("AccessDeniedException", "User: somebody is not authorized to perform this")
READING = ("Describe", "Get", "List")
LINUX = {"operatingSystem": "Linux", "tenancy": "Shared", "preInstalledSw": "NA", "capacitystatus": "Used"}


def need(name: str, count: int = 2, service: str = "sagemaker") -> Need:
    return Need(service, name, count, "instances", "jobs")


@pytest.fixture
def account() -> Account:
    """Each test fills its own."""
    return Account()


@pytest.fixture
def aws(account: Account, tmp_path: Path) -> Iterator[PretendedAws]:
    """AWS with this account; what was asked of it only told, whatever the test."""
    folder = tmp_path / "proxy"
    folder.mkdir()
    with pretending(account, folder, Keys("AKIATEST", "secret")) as started:
        yield started
        assert [call.operation for call in started.calls() if not call.operation.startswith(READING)] == []


class TestQuotas:
    def test_what_was_raised_for_the_account_is_read_by_its_code(self, account: Account, aws: PretendedAws) -> None:
        account.applied = [quota("sagemaker", TRAINING, "L-3F53BF0F", 4.0)]
        found = self.read(aws, need(TRAINING))
        assert found.applied[TRAINING].value == 4.0
        assert found.verdict(need(TRAINING)) == "enough"
        assert [call.operation for call in aws.calls()] == ["GetServiceQuota"]

    def test_what_was_never_changed_has_the_default_of_aws(self, account: Account, aws: PretendedAws) -> None:
        account.defaults = [quota("sagemaker", TRAINING, "L-3F53BF0F", 0.0)]
        assert self.read(aws, need(TRAINING)).verdict(need(TRAINING)) == "too low"

    def test_a_code_that_is_of_another_quota_is_not_used(self, account: Account, aws: PretendedAws) -> None:
        account.applied = [
            quota("sagemaker", "Something else", "L-3F53BF0F", 100.0),
            *(quota("sagemaker", f"ml.x{n}.large for training job usage", f"L-{n}", 100.0) for n in range(3)),
            quota("sagemaker", TRAINING, "L-NEW", 1.0),
        ]
        found = self.read(aws, need(TRAINING)).applied[TRAINING]
        assert (found.value, found.code) == (1.0, "L-NEW")

    def test_what_has_no_known_code_is_found_by_its_name(self, account: Account, aws: PretendedAws) -> None:
        name = "ml.c5.xlarge for training job usage"
        account.applied = [quota("sagemaker", "Another", "L-1", 1.0)]
        account.defaults = [
            *(quota("sagemaker", f"Another {n}", f"L-{n}", 1.0) for n in range(5)),
            quota("sagemaker", name, "L-C5", 7.0),
        ]
        found = self.read(aws, need(name), need("Nobody knows it"))
        assert found.applied.keys() == {name}
        assert found.applied[name].code == "L-C5"

    def test_a_caller_without_the_right_is_told_so(self, aws: PretendedAws) -> None:
        with aws.injected(Fault("service-quotas", error=DENIED)):
            found = self.read(aws, need(TRAINING))
        assert found.problem == "Service Quotas refused: AccessDeniedException"
        assert found.verdict(need(TRAINING)) == "not known"

    def test_an_aws_that_cannot_be_reached_is_said(self, aws: PretendedAws) -> None:
        with aws.injected(Fault("service-quotas", cut="before")):
            found = self.read(aws, need(ENDPOINT))
        assert found.problem.startswith("Service Quotas could not be asked: ")

    @staticmethod
    def read(aws: PretendedAws, *needs: Need) -> quotas.Quotas:
        return quotas.read_applied(aws.client("service-quotas", region=REGION), REGION, needs)


Ask = Callable[..., Answer]


@pytest.fixture
def ask(aws: PretendedAws, tmp_path: Path) -> Ask:
    """Asks for the prices of keys, on a day."""

    def asked(*wanted: Key, today: datetime.date = TODAY, region: str = REGION) -> Answer:
        pricing, ec2 = aws.client("pricing", region="us-east-1"), aws.client("ec2", region=region)
        return price_list.read(pricing, ec2, region, wanted, today, tmp_path / "state" / "prices.json")

    return asked


class TestPrices:
    def test_the_usage_type_and_the_region_say_which_product_it_is(self, account: Account, ask: Ask) -> None:
        account.products["AmazonSageMaker"] = [
            product("EU-Train:ml.g4dn.xlarge", REGION, (0, "0.8220000000")),
            product("EU-TrainWarmPool:ml.g4dn.xlarge", REGION, (0, "9")),
            product("EU-Host:ml.g4dn.xlarge", REGION, (0, "9")),
            product("EU-Train:ml.g4dn.xlarge-other", REGION, (0, "9")),
            product("USE1-Train:ml.g4dn.xlarge", "us-east-1", (0, "0.7364000000")),
        ]
        found = ask(("training", "ml.g4dn.xlarge"))
        price = found.prices.find("training", "ml.g4dn.xlarge", REGION)
        assert price is not None
        assert (price.usd, price.read, price.unit) == (0.822, TODAY, "hour")
        assert price.source == "https://api.pricing.us-east-1.amazonaws.com"
        assert price.basis == "AWS's Price List API: Train:ml.g4dn.xlarge"
        assert found.problem == ""

    def test_in_us_east_1_a_usage_type_may_have_no_prefix(self, account: Account, ask: Ask) -> None:
        account.products["AmazonEC2"] = [
            product("BoxUsage:t3.xlarge", "us-east-1", (0, "0.1664000000"), **LINUX),
            product("BoxUsage:t3.xlarge", "us-east-1", (0, "0.24"), **{**LINUX, "operatingSystem": "Windows"}),
        ]
        price = ask(("ec2", "t3.xlarge"), region="us-east-1").prices.find("ec2", "t3.xlarge", "us-east-1")
        assert price is not None
        assert price.usd == 0.1664

    def test_of_tiers_the_first_counts(self, account: Account, ask: Ask) -> None:
        tiers = ((0, "0.0230000000"), (51200, "0.0220000000"))
        account.products["AmazonS3"] = [product("EU-TimedStorage-ByteHrs", REGION, *tiers)]
        price = ask(("storage", "")).prices.find("storage", "", REGION)
        assert price is not None
        assert price.usd == 0.023

    def test_what_is_not_clear_is_not_taken(self, account: Account, ask: Ask) -> None:
        account.products["AmazonSageMaker"] = [
            product("EU-Host:ml.m5.large", REGION, (0, "0.1")),
            product("EU-Host:ml.m5.large", REGION, (0, "0.2")),
            product("EU-Notebk:ml.t3.medium", REGION, (0, "0.0000000000")),
        ]
        found = ask(("hosting", "ml.m5.large"), ("notebook", "ml.t3.medium"), ("training", "ml.x9.large"), ("key", ""))
        assert found.prices.by_key == {}
        assert found.problem == ""

    def test_spot_is_the_mean_of_the_zones_now(self, account: Account, ask: Ask) -> None:
        account.spot["t3.xlarge"] = {"eu-west-1a": "0.060000", "eu-west-1b": "0.080000"}
        found = ask(("ec2-spot", "t3.xlarge"), ("ec2-spot", "g5.xlarge")).prices
        price = found.find("ec2-spot", "t3.xlarge", REGION)
        assert price is not None
        assert price.usd == pytest.approx(0.07)
        assert found.find("ec2-spot", "g5.xlarge", REGION) is None

    def test_what_was_asked_today_is_not_asked_again(self, account: Account, aws: PretendedAws, ask: Ask) -> None:
        account.products["AmazonSageMaker"] = [product("EU-Host:ml.m5.large", REGION, (0, "0.1"))]
        first = ask(("hosting", "ml.m5.large"))
        aws.forget()
        assert ask(("hosting", "ml.m5.large")).prices == first.prices
        assert aws.calls() == []
        account.products["AmazonSageMaker"] = [product("EU-Host:ml.m5.large", REGION, (0, "0.2"))]
        later = ask(("hosting", "ml.m5.large"), today=TODAY + datetime.timedelta(days=1))
        price = later.prices.find("hosting", "ml.m5.large", REGION)
        assert price is not None
        assert price.usd == 0.2

    @pytest.mark.parametrize("content", ["", "{", "[]", '{"version": 2}', '{"version": 1, "prices": [{}]}'])
    def test_a_file_that_is_no_file_of_ours_is_not_used(
        self, content: str, account: Account, ask: Ask, tmp_path: Path
    ) -> None:
        path = tmp_path / "state" / "prices.json"
        path.parent.mkdir()
        path.write_text(content)
        account.products["AmazonSageMaker"] = [product("EU-Host:ml.m5.large", REGION, (0, "0.1"))]
        assert len(ask(("hosting", "ml.m5.large")).prices.by_key) == 1

    def test_prices_of_another_region_are_asked_for(self, account: Account, ask: Ask) -> None:
        account.products["AmazonSageMaker"] = [product("EU-Host:ml.m5.large", REGION, (0, "0.1"))]
        ask(("hosting", "ml.m5.large"))
        assert ask(("hosting", "ml.m5.large"), region="us-east-1").prices.by_key == {}

    @pytest.mark.parametrize(
        ("fault", "problem"),
        [
            (Fault("pricing", error=DENIED), "AWS refused to tell prices: AccessDeniedException"),
            (Fault("pricing", cut="before"), "AWS could not be asked for prices: "),
        ],
    )
    def test_what_aws_does_not_tell_is_said_and_the_rest_is_kept(
        self, fault: Fault, problem: str, account: Account, aws: PretendedAws, ask: Ask
    ) -> None:
        account.spot["t3.xlarge"] = {"eu-west-1a": "0.06"}
        with aws.injected(fault):
            found: Any = ask(("ec2-spot", "t3.xlarge"), ("hosting", "ml.m5.large"))
        assert found.problem.startswith(problem)
        assert len(found.prices.by_key) == 1

"""What a deployment would cost, beside costs that were computed by hand with the prices of a small table."""

import datetime
import json
from dataclasses import replace
from typing import Any

import pytest

from infra import cost, presets
from infra.ec2.settings import Ec2Settings
from infra.notebook.settings import NotebookSettings
from infra.paths import CHECKOUT
from infra.prices import prices
from infra.prices.prices import UNITS, Price, Prices
from infra.settings import DeploymentSettings, EndpointSettings, FunctionSettings, ModelSettings, TrainingSettings

GB = 1 << 30
TODAY = datetime.date(2026, 3, 1)
PAGE = CHECKOUT / "docs" / "prices.md"


def price(usage: str, usd: float, instance_type: str = "", read: str = "2026-02-01") -> Price:
    """A price of us-east-1 that is easy to compute with."""
    day = datetime.date.fromisoformat(read)
    address = "https://example.com/prices"
    return Price("Any", usage, instance_type, "us-east-1", UNITS[usage], usd, day, address, "made up")


def table(*rows: Price) -> Prices:
    """A table of these rows."""
    return Prices({(row.usage, row.type, row.region): row for row in rows})


ROUND = table(
    price("training", 0.5, "ml.m5.xlarge"),
    price("training", 2.0, "ml.g4dn.xlarge"),
    price("hosting", 0.25, "ml.m5.large"),
    price("volume", 7.3),
    price("provisioned", 0.00001),
    price("requests", 0.5),
    price("duration", 0.00002, read="2026-01-30"),
    price("storage", 0.1),
)


def settings(preset: str) -> DeploymentSettings:
    """Those of a preset in the repository, without its EC2 host and its notebook."""
    return replace(presets.read(presets.find(preset)), ec2=None, notebook=None)


def amounts(found: cost.Cost) -> list[tuple[float | None, ...]]:
    """Of each line an hour, a month, the estimate and at worst."""
    columns = ("hour", "month", "estimated", "at_worst")
    return [
        tuple(round(v, 6) if v is not None else None for v in (getattr(one, c) for c in columns)) for one in found.lines
    ]


def test_preset_a_pays_two_endpoints_warm_environments_and_two_jobs() -> None:
    found = cost.cost_of(settings("a"), 73 * GB, ROUND)
    assert amounts(found) == [
        (0.25, 182.5, None, 730.0),  # 1 to 4 instances
        (0.25, 182.5, None, 182.5),  # 1 instance
        (0.018, 13.14, None, 13.14),  # 2 of 0.25 GB, 3,600 s
        (0.01, 7.3, None, 7.3),  # 73 GB
        (None, None, None, 0.5),  # 1 instance, 1 h
        (None, None, None, 0.3),  # its 30 GB for 1 of 730 h
        (None, None, None, 1.0),  # 2 instances
        (None, None, None, 0.6),
        (None, None, None, 5.0),  # 10 jobs of `make tune`
        (None, None, None, 3.0),
    ]
    assert found.total("hour") == pytest.approx(0.528)
    assert found.total("month") == pytest.approx(385.44)
    assert found.total("estimated") is None
    assert found.total("at_worst") == pytest.approx(943.34)
    assert found.unknown == ()


def test_preset_c_trains_on_gpus_whose_disks_cost_nothing_more() -> None:
    found = cost.cost_of(settings("c"), 0, ROUND, job_hours=0.25)
    assert amounts(found) == [
        (0.25, 182.5, None, 547.5),
        (0.25, 182.5, None, 182.5),
        (0.0, 0.0, None, 0.0),
        (None, None, 0.5, 2.0),
        (None, None, 1.0, 4.0),
        (None, None, 1.0, 4.0),  # 2 jobs of `make tune`
    ]
    assert found.total("estimated") == pytest.approx(2.5)


def test_a_notebook_costs_its_instance_and_its_volume() -> None:
    prices = table(price("notebook", 0.05, "ml.t3.medium"), price("volume", 7.3))
    found = cost.cost_of(DeploymentSettings(notebook=NotebookSettings()), 0, prices)
    assert [one.what for one in found.lines if one.kind == "notebook"] == [
        "notebook: ml.t3.medium",
        "notebook: volume of 10 GB",
    ]
    assert amounts(found)[2:4] == [(0.05, 36.5, None, 36.5), (0.1, 73.0, None, 73.0)]


def test_preset_e_has_one_endpoint_of_up_to_three() -> None:
    found = cost.cost_of(settings("e"), 0, ROUND)
    assert amounts(found)[:3] == [(0.25, 182.5, None, 547.5), (0.0, 0.0, None, 0.0), (None, None, None, 0.5)]
    assert found.total("month") == pytest.approx(182.5)


def test_models_that_are_trained_alike_have_one_job() -> None:
    found = cost.cost_of(settings("d"), 0, ROUND)
    assert sum(line.what.startswith("training job: 1 x") for line in found.lines) == 1
    assert sum(line.what.startswith("endpoint") for line in found.lines) == 2


def test_no_job_is_estimated_to_take_longer_than_its_limit() -> None:
    wanted = DeploymentSettings(models=(ModelSettings(training=TrainingSettings(limit_s=1800)),))
    found = cost.cost_of(wanted, 0, ROUND, job_hours=5.0)
    jobs = [line for line in found.lines if line.at_worst is not None and line.hour is None]
    assert jobs
    assert all(line.estimated == line.at_worst for line in jobs)
    assert jobs[0].at_worst == 0.25


def test_a_type_without_a_price_is_named_and_left_out_of_the_total() -> None:
    wanted = DeploymentSettings(models=(ModelSettings(endpoint=EndpointSettings(instance_type="ml.x9.large")),))
    found = cost.cost_of(wanted, 73 * GB, ROUND)
    assert found.unknown == ("no price is known for hosting on ml.x9.large in us-east-1",)
    assert found.total("month") == pytest.approx(7.3)
    said = cost.lines(found, TODAY)
    assert "No price is known for hosting on ml.x9.large in us-east-1." in said
    assert any(line.endswith("  what is known") for line in said)
    assert any("ml.x9.large (price unknown)" in line for line in said)


def test_another_region_has_none_of_the_prices() -> None:
    wanted = replace(DeploymentSettings(), region="eu-north-1", function=FunctionSettings(provisioned=1))
    found = cost.cost_of(wanted, GB, ROUND)
    assert found.total("at_worst") is None
    assert [text.removeprefix("no price is known for ") for text in found.unknown] == [
        "hosting on ml.m5.large in eu-north-1",
        "provisioned concurrency in eu-north-1",
        "storage in S3 in eu-north-1",
        "training on ml.m5.xlarge in eu-north-1",
        "volumes of SageMaker in eu-north-1",
        "requests of Lambda in eu-north-1",
        "GB-seconds of Lambda in eu-north-1",
    ]
    assert cost.lines(found, TODAY)[-1] == "infra/prices/table.toml has no prices of eu-north-1 that are needed here."


def test_the_reader_sees_the_columns_and_the_age_of_the_oldest_price() -> None:
    header, first, *_, not_counted, dated = cost.lines(cost.cost_of(settings("e"), 0, ROUND, 0.5), TODAY)
    assert " ".join(header.split()) == "an hour a month estimated at worst On AWS this would cost"
    assert " ".join(first.split()) == "$0.2500 $182.50 $547.50 endpoint dogs-e: 1 to 3 x ml.m5.large ($0.25 per hour)"
    assert "calls of the function ($0.5 per million, $0.00002 per GB-second)" in not_counted
    assert dated == "Prices of us-east-1, the oldest read 2026-01-30 (30 days ago), sources: infra/prices/table.toml."


def test_without_a_guess_nothing_is_called_estimated() -> None:
    assert not any("estimated" in line for line in cost.lines(cost.cost_of(settings("e"), 0, ROUND), TODAY))


def test_the_document_has_each_price_with_its_day_and_source() -> None:
    found = json.loads(json.dumps(cost.document(cost.cost_of(settings("e"), 0, ROUND), TODAY)))
    assert found["lines"][0]["price"] == {
        "service": "Any", "usage": "hosting", "type": "ml.m5.large", "region": "us-east-1", "unit": "hour", "usd": 0.25,
        "read": "2026-02-01", "source": "https://example.com/prices", "basis": "made up", "age_days": 28,
    }  # fmt: skip
    assert found["total"]["month"] == pytest.approx(182.5)
    assert [one["usage"] for one in found["per_call"]] == ["requests", "duration"]


SPOT = Prices({**ROUND.by_key, **table(price("ec2", 1.0, "g4dn.xlarge"), price("ec2-spot", 0.4, "g4dn.xlarge")).by_key})


def on_spot(**training: Any) -> DeploymentSettings:
    """One model that is trained on spot instances with a GPU."""
    wanted = TrainingSettings("ml.g4dn.xlarge", spot=True, **training)
    return DeploymentSettings(models=(ModelSettings(training=wanted),))


def test_spot_is_estimated_with_its_saving_and_at_worst_without_it() -> None:
    job, search = (line for line in cost.cost_of(on_spot(), 0, SPOT, 0.5).lines if line.kind in ("training", "tuning"))
    assert (job.estimated, job.at_worst, job.spot_saves) == pytest.approx((0.4, 2.0, 0.6))
    assert (search.estimated, search.at_worst, search.spot_saves) == pytest.approx((4.0, 20.0, 6.0))


def test_without_a_guess_spot_saves_of_the_limit() -> None:
    found = cost.cost_of(on_spot(limit_s=1800), 0, SPOT)
    assert found.total("spot_saves") == pytest.approx(11 * 0.6)
    said = cost.lines(found, TODAY)
    assert "spot saves" in said[0]
    assert any("on spot, 0.5 h at most" in line for line in said)
    assert any(line.startswith("Spot: estimated as if it saved") for line in said)


def test_where_the_saving_is_not_known_nothing_is_saved_and_this_is_said() -> None:
    found = cost.cost_of(on_spot(), 0, ROUND, 0.5)
    assert found.total("spot_saves") is None
    assert found.total("estimated") == pytest.approx(11.0)
    assert found.unknown == ()
    said = "What spot saves on ml.g4dn.xlarge in us-east-1 is not known: nothing is counted as saved."
    assert said in cost.lines(found, TODAY)


def test_spot_that_is_dearer_saves_nothing() -> None:
    dear = table(price("ec2", 1.0, "g4dn.xlarge"), price("ec2-spot", 1.5, "g4dn.xlarge"))
    found = cost.cost_of(on_spot(), 0, Prices({**ROUND.by_key, **dear.by_key}), 0.5)
    assert found.total("spot_saves") == 0.0


def test_the_document_has_the_prices_by_which_spot_was_judged() -> None:
    found = json.loads(json.dumps(cost.document(cost.cost_of(on_spot(), 0, SPOT, 0.5), TODAY)))
    (share,) = found["spot"]
    assert share["saved"] == pytest.approx(0.6)
    assert (share["on_demand"]["usd"], share["spot"]["usd"]) == (1.0, 0.4)
    assert found["total"]["spot_saves"] == pytest.approx(6.6)


HOST = table(price("ec2", 1.0, "t3.xlarge"), price("ec2-spot", 0.3, "t3.xlarge"), price("disk", 7.3),
             price("public-address", 0.005))  # fmt: skip


def test_an_ec2_host_pays_its_disk_and_its_address_too() -> None:
    host = Ec2Settings("t3.xlarge", volume_gb=50, limit_s=7200)
    found = cost.cost_of(DeploymentSettings(ec2=host), 0, ROUND.replaced_by(HOST), 0.5)
    lines = [line for line in found.lines if line.kind == "host"]
    assert [line.estimated for line in lines] == pytest.approx([0.5, 0.25, 0.0025])
    assert [line.at_worst for line in lines] == pytest.approx([2.0, 1.0, 0.01])


def test_a_host_on_spot_may_have_to_run_on_demand() -> None:
    host = Ec2Settings("t3.xlarge", market="spot", limit_s=3600)
    found = cost.cost_of(DeploymentSettings(ec2=host), 0, ROUND.replaced_by(HOST), 0.5)
    line = next(line for line in found.lines if line.kind == "host")
    assert (line.estimated, line.at_worst, line.spot_saves) == pytest.approx((0.15, 1.0, 0.35))


def test_the_keys_are_those_of_the_prices_that_are_read() -> None:
    wanted = presets.read(presets.find("b"))
    keys = cost.keys_of(wanted)
    assert {("training", "ml.m5.2xlarge"), ("hosting", "ml.m5.large"), ("ec2", "t3.xlarge")} <= set(keys)


class TestTheFiguresOfTheDocuments:
    """The estimates of presets beside what the people wrote, with the table's own prices; docs/prices.md shows them."""

    def test_c_tunes_two_jobs_of_about_40_minutes(self) -> None:
        (search,) = (line for line in self.estimated("c", 40 / 60) if line.kind == "tuning")
        assert "2 training jobs: 1 x ml.g4dn.xlarge" in search.what
        assert search.estimated == pytest.approx(0.98, abs=0.005)

    def test_e_trains_20_minutes_for_23_cents_an_hour(self) -> None:
        """And waits 2 minutes for its instance, which AWS does not charge: TrainingTimeInSeconds begins after it."""
        job = next(line for line in self.estimated("e", 20 / 60) if line.kind == "training")
        assert "1 x ml.m5.xlarge" in job.what
        assert job.price is not None
        assert job.price.usd == 0.23
        assert job.estimated == pytest.approx(0.0767, abs=0.0001)

    @pytest.mark.parametrize(("preset", "minutes"), [("a", 20), ("b", 20), ("c", 40), ("d", 20), ("e", 20)])
    def test_the_page_of_prices_shows_them(self, preset: str, minutes: int) -> None:
        wanted = presets.read(presets.find(preset))
        found = cost.cost_of(wanted, 1_181_116_006, prices.read(), minutes / 60)  # 1.1 GB
        hour, estimated, at_worst = (found.total(name) or 0.0 for name in ("hour", "estimated", "at_worst"))
        (row,) = (line for line in PAGE.read_text().splitlines() if line.startswith(f"| {preset.upper()} | $"))
        cells = [cell.strip() for cell in row.split("|")]
        assert cells[2:4] == [f"${hour:.2f}", f"0:{minutes}"]
        assert cells[4].split(",")[0] == f"${estimated:.2f}"
        assert cells[5] == f"${at_worst:.0f}"

    @staticmethod
    def estimated(preset: str, job_hours: float) -> tuple[cost.CostLine, ...]:
        return cost.cost_of(settings(preset), 0, prices.read(), job_hours).lines

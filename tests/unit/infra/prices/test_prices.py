"""The table of prices: every row can be checked, and a wrong one is refused by its number."""

import datetime
from pathlib import Path

import pytest

from infra import presets
from infra.paths import CHECKOUT
from infra.prices import prices

ROW = (
    '{ service = "SageMaker", usage = "training", type = "ml.m5.large", region = "us-east-1", unit = "hour", '
    'usd = 0.5, read = 2026-01-02, source = "a" },'
)
GOOD = f"""
version = 1
prices = [
    {ROW}
]
[sources.a]
url = "https://example.com"
basis = "read there"
"""


def written(folder: Path, text: str) -> Path:
    """The table in a file."""
    path = folder / "table.toml"
    path.write_text(text)
    return path


def test_every_row_has_a_day_that_has_come_an_address_and_a_price() -> None:
    found = prices.read().by_key.values()
    assert len(found) >= 30
    tomorrow = datetime.datetime.now(datetime.UTC).date() + datetime.timedelta(days=1)
    for price in found:
        assert price.usd > 0
        assert datetime.date(2023, 1, 1) <= price.read <= tomorrow
        assert price.source.startswith("https://")
        assert price.basis


def test_the_presets_have_all_their_prices_in_us_east_1() -> None:
    found = prices.read()
    for path in presets.FOLDER.glob("*.toml"):
        settings = presets.read(path)
        for model in settings.models:
            assert found.find("training", model.training.instance_type, "us-east-1")
            assert found.find("hosting", model.endpoint.instance_type, "us-east-1")
        if settings.ec2:
            assert found.find("ec2", settings.ec2.instance_type, "us-east-1"), path
    for usage in ("volume", "requests", "duration", "provisioned", "storage", "disk", "public-address"):
        assert found.find(usage, "", "us-east-1")


def test_no_price_stands_in_the_code() -> None:
    numbers = {repr(price.usd) for price in prices.read().by_key.values()}
    for path in (CHECKOUT / "infra" / "cost.py", CHECKOUT / "infra" / "prices" / "prices.py"):
        words = set(path.read_text().replace("(", " ").replace(")", " ").replace(",", " ").split())
        assert not numbers & words


def test_a_price_is_found_by_usage_type_and_region(tmp_path: Path) -> None:
    found = prices.read(written(tmp_path, GOOD))
    price = found.find("training", "ml.m5.large", "us-east-1")
    assert price is not None
    assert (price.usd, price.unit, price.source) == (0.5, "hour", "https://example.com")
    assert price.read == datetime.date(2026, 1, 2)
    assert found.find("hosting", "ml.m5.large", "us-east-1") is None
    assert found.find("training", "ml.m5.large", "eu-west-1") is None


@pytest.mark.parametrize(
    ("old", "new", "reason"),
    [
        ('usage = "training"', 'usage = "flying"', "price 1: the usage 'flying'"),
        ('unit = "hour"', 'unit = "day"', "price 1: the usage 'training' by the 'day'"),
        ('type = "ml.m5.large", ', "", "price 1: the usage 'training' with the type ''"),
        ("usd = 0.5", "usd = -0.5", "price 1: the price -0.5"),
        ("usd = 0.5", "usd = nan", "price 1: the price nan"),
        ("usd = 0.5", 'usd = "0.5"', "price 1: the price '0.5'"),
        ("usd = 0.5", "usd = 0.5, per = 2", "price 1: it has the keys"),
        ("read = 2026-01-02", "read = 2026-01-02T00:00:00", "price 1: .* is not a day"),
        ('source = "a"', 'source = "b"', "price 1: there is no source 'b'"),
        ("https://example.com", "a colleague", "price 1: a price has a service"),
        ("version = 1", "version = 2", "of version 2"),
    ],
)
def test_a_wrong_table_is_refused_with_the_row(tmp_path: Path, old: str, new: str, reason: str) -> None:
    assert old in GOOD
    with pytest.raises(ValueError, match=reason):
        prices.read(written(tmp_path, GOOD.replace(old, new)))


def test_a_price_that_stands_twice_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="price 2: an earlier row"):
        prices.read(written(tmp_path, GOOD.replace(ROW, f"{ROW}\n{ROW}")))


def test_the_age_is_in_days() -> None:
    assert prices.age_days(datetime.date(2026, 1, 30), datetime.date(2026, 3, 1)) == 30
    assert prices.age_days(datetime.date(2026, 3, 2), datetime.date(2026, 3, 1)) == 0

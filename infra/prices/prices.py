"""Reads the table of prices, `table.toml`, and checks it: a wrong row is refused by its number, never used.

The table says for each price where it stands and on which day it was read, so that a plan can say how old it is.
"""

import datetime
import math
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

TABLE = Path(__file__).with_name("table.toml")
NAME = "infra/prices/table.toml"  # for the reader
VERSION = 1
# Each usage, and the unit that its price is for.
UNITS: Mapping[str, str] = {
    "training": "hour",
    "hosting": "hour",
    "notebook": "hour",
    "ec2": "hour",
    "ec2-spot": "hour",
    "volume": "GB-month",
    "disk": "GB-month",
    "requests": "million",
    "duration": "GB-second",
    "provisioned": "GB-second",
    "storage": "GB-month",
    "nat": "hour",
    "nat-data": "GB",
    "interface-endpoint": "hour",
    "public-address": "hour",
    "key": "key-month",
}
_INSTANCE_USAGES = ("training", "hosting", "notebook", "ec2", "ec2-spot")
_KEYS = {"service", "usage", "region", "unit", "usd", "read", "source"}


@dataclass(frozen=True)
class Price:
    """What AWS charges in US dollars for one `unit` of a usage in a region, as read on the day `read`. `type` is the
    instance type, or empty; `source` is a web address, and `basis` says how the price was read there. Raises ValueError
    for what cannot be one."""

    service: str
    usage: str
    type: str
    region: str
    unit: str
    usd: float
    read: datetime.date
    source: str
    basis: str

    def __post_init__(self) -> None:
        if UNITS.get(self.usage) != self.unit:
            raise ValueError(f"the usage {self.usage!r} by the {self.unit!r} is none of {dict(UNITS)}")
        if (self.usage in _INSTANCE_USAGES) != bool(self.type):
            raise ValueError(f"the usage {self.usage!r} with the type {self.type!r}: only instances have one")
        if type(self.usd) is not float or not (math.isfinite(self.usd) and self.usd > 0):
            raise ValueError(f"the price {self.usd!r} is not a number above 0 with a point")
        if type(self.read) is not datetime.date:
            raise ValueError(f"{self.read!r} is not a day, such as 2026-09-28")
        if not self.source.startswith("https://") or not (self.service and self.region and self.basis):
            raise ValueError("a price has a service, a region, the address of its source, and how it was read")


type Key = tuple[str, str]  # a usage, and the instance type or nothing


@dataclass(frozen=True)
class Prices:
    """All prices, by usage, instance type (or empty) and region."""

    by_key: Mapping[tuple[str, str, str], Price]

    def find(self, usage: str, instance_type: str, region: str) -> Price | None:
        """The price, or None where none is known."""
        return self.by_key.get((usage, instance_type, region))

    def replaced_by(self, others: "Prices") -> "Prices":
        """These, and the others in place of those that both have."""
        return Prices({**self.by_key, **others.by_key})


@dataclass(frozen=True)
class NoPrices(Prices):
    """None, and a list of those that were asked for."""

    asked: list[Key] = field(default_factory=list)

    def find(self, usage: str, instance_type: str, region: str) -> Price | None:  # noqa: ARG002 - as the original
        """None; writes the key down."""
        self.asked.append((usage, instance_type))
        return None


def read(path: Path = TABLE) -> Prices:
    """The table's prices. Raises ValueError for a table that is wrong, with the number of the row."""
    table = tomllib.loads(path.read_text())
    if table.get("version") != VERSION:
        raise ValueError(f"{path} is of version {table.get('version')!r}, and this Stagemaker reads version {VERSION}")
    found: dict[tuple[str, str, str], Price] = {}
    for number, row in enumerate(table["prices"], start=1):
        try:
            price = _price(row, table["sources"])
            key = (price.usage, price.type, price.region)
            if key in found:
                raise ValueError("an earlier row has this usage, type and region")
        except ValueError as error:
            raise ValueError(f"{path}, price {number}: {error}") from None
        found[key] = price
    return Prices(found)


def _price(row: Mapping[str, Any], sources: Mapping[str, Mapping[str, str]]) -> Price:
    if row.keys() - {"type"} != _KEYS:
        raise ValueError(f"it has the keys {', '.join(sorted(row))}")
    source = sources.get(row["source"])
    if source is None:
        raise ValueError(f"there is no source {row['source']!r}")
    return Price(**{"type": "", **row, "source": source["url"], "basis": source["basis"]})


def age_days(read_on: datetime.date, today: datetime.date) -> int:
    """How many days ago that was; 0 for a day that is yet to come, as of a clock that is behind."""
    return max(0, (today - read_on).days)

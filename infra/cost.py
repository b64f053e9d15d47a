"""What a deployment would cost on AWS: by the hour and by the month while it stands, and at worst.

Pure: it is computed from the settings, the bytes of the data, and a table of prices. A price that is not in the table
is named, and the total is then only of the rest.
"""

import datetime
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from decimal import Decimal
from typing import Any

from infra.blueprint import Blueprint
from infra.prices.prices import NAME, Price, Prices, age_days
from infra.settings import DeploymentSettings, EndpointSettings, TrainingSettings

MONTH_H = 730  # hours, as AWS's own calculator has it
GB = 1 << 30  # what S3 and SageMaker bill as one
MB_OF_GB = 1024
# These have disks of their own, and AWS attaches no volume that is billed
# (https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_ResourceConfig.html).
FAMILIES_WITH_DISKS = ("g4dn", "g5")
NOT_COUNTED = "S3's requests, logs, data in and out, models in S3, images in ECR, endpoints' volumes"
_AT_WORST = (
    "At worst: every job runs until its limit, once, and every endpoint has its most instances for a month of "
    f"{MONTH_H} h. An hour and a month are without the jobs."
)
_NAMES = {
    "volume": "volumes of training jobs",
    "provisioned": "provisioned concurrency",
    "requests": "requests of Lambda",
    "duration": "GB-seconds of Lambda",
    "storage": "storage in S3",
}


@dataclass(frozen=True)
class CostLine:
    """One thing that costs, in US dollars. `hour` and `month` are while it stands, None for a job, which ends.
    `estimated` is a job's cost for the hours that were guessed, None without a guess. `at_worst` is of a job that runs
    until its limit, and of anything else one month with the most that it may have. Without a `price` all are None."""

    what: str
    price: Price | None
    hour: float | None = None
    month: float | None = None
    estimated: float | None = None
    at_worst: float | None = None


@dataclass(frozen=True)
class Cost:
    """All that costs, in a region. `per_call` are the prices of the function's calls, which nobody can count before.
    `unknown` names the prices that are missing: the totals are without them."""

    region: str
    lines: tuple[CostLine, ...]
    per_call: tuple[Price, ...]
    unknown: tuple[str, ...]

    @property
    def prices(self) -> tuple[Price, ...]:
        """Those that were used, each once."""
        return tuple(dict.fromkeys([line.price for line in self.lines if line.price] + list(self.per_call)))

    def total(self, column: str) -> float | None:
        """The sum of a column of the lines; None where no line has one."""
        found = [value for line in self.lines if (value := getattr(line, column)) is not None]
        return sum(found) if found else None


def cost_of(settings: DeploymentSettings, stored_bytes: int, prices: Prices, job_hours: float | None = None) -> Cost:
    """What the deployment costs that is made from nothing, and one search with `make tune`. `stored_bytes` lie in S3;
    `job_hours` is a guess how long a training job takes, for one that does not reach its limit."""
    counted = _Counted(settings, prices, job_hours)
    lines = [
        *counted.endpoints(),
        *counted.provisioned(),
        counted.storage(stored_bytes),
        *counted.training(),
        *counted.tuning(),
    ]
    per_call = counted.per_call()
    return Cost(settings.region, tuple(lines), per_call, tuple(dict.fromkeys(counted.unknown)))


class _Counted:
    """The lines of each part. `unknown` gathers the prices that are missing."""

    def __init__(self, settings: DeploymentSettings, prices: Prices, job_hours: float | None) -> None:
        self.settings, self._prices, self._job_hours = settings, prices, job_hours
        self.unknown: list[str] = []

    def endpoints(self) -> Iterable[CostLine]:
        names = Blueprint(self.settings, account="", data_digest="")
        for model in self.settings.models:
            endpoint = model.endpoint
            what = f"endpoint {names.endpoint(model)}: {_instances(endpoint)} x {endpoint.instance_type}"
            price = self._find("hosting", endpoint.instance_type)
            yield _standing(what, price, endpoint.instances, _most(endpoint))

    def provisioned(self) -> Iterable[CostLine]:
        function = self.settings.function
        if function.provisioned:
            what = f"function: {function.provisioned} provisioned x {function.memory_mb} MB"
            gb_seconds = function.provisioned * function.memory_mb / MB_OF_GB * 3600
            yield _standing(what, self._find("provisioned"), gb_seconds, gb_seconds)

    def storage(self, stored_bytes: int) -> CostLine:
        gb = stored_bytes / GB
        return _standing(f"data in S3: {gb:.3f} GB", self._find("storage"), gb / MONTH_H, gb / MONTH_H)

    def training(self) -> Iterable[CostLine]:
        """Models that are trained alike have one job."""
        for training in dict.fromkeys(model.training for model in self.settings.models):
            yield from self._jobs("training job", training, count=1)

    def tuning(self) -> Iterable[CostLine]:
        count = self.settings.tuning.jobs
        yield from self._jobs(f"`make tune`: {count} training jobs", self.settings.models[0].training, count)

    def per_call(self) -> tuple[Price, ...]:
        return tuple(price for usage in ("requests", "duration") if (price := self._find(usage)))

    def _jobs(self, what: str, training: TrainingSettings, count: int) -> Iterable[CostLine]:
        limit_h = training.limit_s / 3600
        guess_h = None if self._job_hours is None else min(self._job_hours, limit_h)
        hours = f"{training.instances} x {training.instance_type}"
        price = self._find("training", training.instance_type)
        yield _ending(f"{what}: {hours}, {limit_h:g} h at most", price, count * training.instances, guess_h, limit_h)
        if training.instance_type.split(".")[1] not in FAMILIES_WITH_DISKS:
            gb_months = count * training.instances * training.volume_gb / MONTH_H
            what = f"{what}: volumes of {training.volume_gb} GB"
            yield _ending(what, self._find("volume"), gb_months, guess_h, limit_h)

    def _find(self, usage: str, instance_type: str = "") -> Price | None:
        region = self.settings.region
        price = self._prices.find(usage, instance_type, region)
        if price is None:
            self.unknown.append(f"no price is known for {_named(usage, instance_type)} in {region}")
        return price


def _standing(what: str, price: Price | None, units_per_hour: float, most_per_hour: float) -> CostLine:
    """What costs every hour, as long as it stands."""
    if price is None:
        return CostLine(what, None)
    hour = price.usd * units_per_hour
    return CostLine(what, price, hour, hour * MONTH_H, None, price.usd * most_per_hour * MONTH_H)


def _ending(what: str, price: Price | None, units_per_hour: float, guess_h: float | None, limit_h: float) -> CostLine:
    """What costs once, for so many hours."""
    if price is None:
        return CostLine(what, None)
    hour = price.usd * units_per_hour
    return CostLine(what, price, None, None, None if guess_h is None else hour * guess_h, hour * limit_h)


def _most(endpoint: EndpointSettings) -> int:
    return endpoint.scaling.max_instances if endpoint.scaling else endpoint.instances


def _instances(endpoint: EndpointSettings) -> str:
    most = _most(endpoint)
    return f"{endpoint.instances} to {most}" if most > endpoint.instances else f"{endpoint.instances}"


def _named(usage: str, instance_type: str) -> str:
    return _NAMES.get(usage) or f"{usage} on {instance_type}"


def lines(cost: Cost, today: datetime.date) -> list[str]:
    """For the reader: a table of what costs, with the total last, then what is missing in it, what at worst means, and
    how old the prices are. Without guessed hours there is no column for them."""
    columns = [one for one in _COLUMNS if one.name != "estimated" or cost.total("estimated") is not None]
    table = [
        _row([one.title for one in columns], "On AWS this would cost"),
        *(_row([one.text(getattr(line, one.name)) for one in columns], _described(line)) for line in cost.lines),
        _row([one.text(cost.total(one.name)) for one in columns], "what is known" if cost.unknown else "in all"),
    ]
    unknown = [f"{text[0].upper()}{text[1:]}." for text in cost.unknown]
    calls = f" ({', '.join(_price_text(price) for price in cost.per_call)})" if cost.per_call else ""
    not_counted = f"Not counted: calls of the function{calls}, {NOT_COUNTED}."
    return [*table, *unknown, _AT_WORST, not_counted, _dated(cost, today)]


@dataclass(frozen=True)
class _Column:
    """A column of amounts: the CostLine's member, its title, and the digits after the point."""

    name: str
    title: str
    digits: int = 2

    def text(self, amount: float | None) -> str:
        return "" if amount is None else f"${amount:,.{self.digits}f}"


_COLUMNS = (
    _Column("hour", "an hour", digits=4),
    _Column("month", "a month"),
    _Column("estimated", "estimated"),
    _Column("at_worst", "at worst"),
)


def _row(amounts: list[str], what: str) -> str:
    return "".join(f"{amount:>12}" for amount in amounts) + f"  {what}"


def _described(line: CostLine) -> str:
    return f"{line.what} ({_price_text(line.price) if line.price else 'price unknown'})"


def _price_text(price: Price) -> str:
    return f"${Decimal(str(price.usd)):f} per {price.unit}"


def _dated(cost: Cost, today: datetime.date) -> str:
    if not cost.prices:
        return f"{NAME} has no prices of {cost.region} that are needed here."
    oldest = min(price.read for price in cost.prices)
    return f"Prices of {cost.region}, the oldest read {oldest} ({age_days(oldest, today)} days ago), sources: {NAME}."


def document(cost: Cost, today: datetime.date) -> dict[str, Any]:
    """The cost as JSON: amounts in US dollars, and each price with its day and its source."""
    return {
        "region": cost.region,
        "currency": "USD",
        "month_hours": MONTH_H,
        "lines": [_line_document(line, today) for line in cost.lines],
        "total": {name: cost.total(name) for name in ("hour", "month", "estimated", "at_worst")},
        "per_call": [_price_document(price, today) for price in cost.per_call],
        "unknown": list(cost.unknown),
        "not_counted": f"calls of the function, {NOT_COUNTED}",
    }


def _line_document(line: CostLine, today: datetime.date) -> Mapping[str, Any]:
    return {**asdict(line), "price": _price_document(line.price, today) if line.price else None}


def _price_document(price: Price, today: datetime.date) -> Mapping[str, Any]:
    return {**asdict(price), "read": price.read.isoformat(), "age_days": age_days(price.read, today)}

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
from infra.instance_types import ML
from infra.prices.price_list import BASIS, SPOT_BASIS
from infra.prices.prices import NAME, Key, NoPrices, Price, Prices, age_days
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
_SPOT = (
    "Spot: estimated as if it saved what it saves on EC2 (AWS tells no price of managed spot beforehand); at worst it "
    "saves nothing."
)
_NAMES = {
    "volume": "volumes of SageMaker",
    "provisioned": "provisioned concurrency",
    "requests": "requests of Lambda",
    "duration": "GB-seconds of Lambda",
    "storage": "storage in S3",
    "disk": "disks of EC2",
    "public-address": "public addresses",
}


@dataclass(frozen=True)
class CostLine:
    """One thing that costs, in US dollars; `kind` says of which sort of resource. `hour` and `month` are while it
    stands, None for a job, which ends. `estimated` is a job's cost for the hours that were guessed, None without a
    guess. `at_worst` is of a job that runs until its limit, and of anything else one month with the most that it may
    have. `spot_saves` is what a job on spot instances is expected to save of its on-demand price, for the hours that
    were guessed, else for its limit; `estimated` is without it already, `at_worst` with it. Without a `price` all are
    None."""

    kind: str
    what: str
    price: Price | None
    hour: float | None = None
    month: float | None = None
    estimated: float | None = None
    at_worst: float | None = None
    spot_saves: float | None = None


@dataclass(frozen=True)
class SpotShare:
    """The part of the on-demand price that spot saves on EC2, from these two prices of one type."""

    on_demand: Price
    spot: Price

    @property
    def saved(self) -> float:
        """From 0, where spot is not cheaper, to 1."""
        return max(0.0, 1 - self.spot.usd / self.on_demand.usd)


def spot_share(prices: Prices, instance_type: str, region: str) -> SpotShare | None:
    """For a type of EC2 or of SageMaker; None where one of the two prices is not known."""
    name = instance_type.removeprefix(ML)
    on_demand, spot = prices.find("ec2", name, region), prices.find("ec2-spot", name, region)
    return SpotShare(on_demand, spot) if on_demand and spot else None


@dataclass(frozen=True)
class Cost:
    """All that costs, in a region. `per_call` are the prices of the function's calls, which nobody can count before.
    `unknown` names the prices that are missing: the totals are without them. `spot` are the prices by which savings of
    spot were estimated, and `spot_unknown` names the types for which there are none, and nothing is saved."""

    region: str
    lines: tuple[CostLine, ...]
    per_call: tuple[Price, ...]
    unknown: tuple[str, ...]
    spot: tuple[SpotShare, ...] = ()
    spot_unknown: tuple[str, ...] = ()

    @property
    def prices(self) -> tuple[Price, ...]:
        """Those that were used, each once."""
        spot = [price for share in self.spot for price in (share.on_demand, share.spot)]
        return tuple(dict.fromkeys([*(line.price for line in self.lines if line.price), *self.per_call, *spot]))

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
        *counted.notebook(),
        *counted.training(),
        *counted.tuning(),
        *counted.host(),
    ]
    per_call = counted.per_call()
    unknown, spot = tuple(dict.fromkeys(counted.unknown)), tuple(dict.fromkeys(counted.spot))
    return Cost(settings.region, tuple(lines), per_call, unknown, spot, tuple(dict.fromkeys(counted.spot_unknown)))


def keys_of(settings: DeploymentSettings) -> list[Key]:
    """Of the prices that `cost_of` reads."""
    none = NoPrices({})
    cost_of(settings, 0, none)
    return none.asked


class _Counted:
    """The lines of each part. `unknown` gathers the prices that are missing, `spot` those by which savings were
    estimated, `spot_unknown` the types without them."""

    def __init__(self, settings: DeploymentSettings, prices: Prices, job_hours: float | None) -> None:
        self.settings, self._prices, self._job_hours = settings, prices, job_hours
        self.unknown: list[str] = []
        self.spot: list[SpotShare] = []
        self.spot_unknown: list[str] = []

    def endpoints(self) -> Iterable[CostLine]:
        names = Blueprint(self.settings, account="", data_digest="")
        for model in self.settings.models:
            endpoint = model.endpoint
            what = f"endpoint {names.endpoint(model)}: {_instances(endpoint)} x {endpoint.instance_type}"
            price = self._find("hosting", endpoint.instance_type)
            yield _standing("endpoint", what, price, endpoint.instances, _most(endpoint))

    def provisioned(self) -> Iterable[CostLine]:
        function = self.settings.function
        if function.provisioned:
            what = f"function: {function.provisioned} provisioned x {function.memory_mb} MB"
            gb_seconds = function.provisioned * function.memory_mb / MB_OF_GB * 3600
            yield _standing("function", what, self._find("provisioned"), gb_seconds)

    def storage(self, stored_bytes: int) -> CostLine:
        gb = stored_bytes / GB
        return _standing("storage", f"data in S3: {gb:.3f} GB", self._find("storage"), gb / MONTH_H)

    def notebook(self) -> Iterable[CostLine]:
        """While it is in service; one that has stopped itself pays its volume alone."""
        if (notebook := self.settings.notebook) is not None:
            price = self._find("notebook", notebook.instance_type)
            yield _standing("notebook", f"notebook: {notebook.instance_type}", price, 1)
            what = f"notebook: volume of {notebook.volume_gb} GB"
            yield _standing("notebook", what, self._find("volume"), notebook.volume_gb / MONTH_H)

    def training(self) -> Iterable[CostLine]:
        """Models that are trained alike have one job."""
        for training in dict.fromkeys(model.training for model in self.settings.models):
            yield from self._jobs("training", "training job", training, count=1)

    def tuning(self) -> Iterable[CostLine]:
        count = self.settings.tuning.jobs
        what = f"`make tune`: {count} training jobs"
        yield from self._jobs("tuning", what, self.settings.models[0].training, count)

    def host(self) -> Iterable[CostLine]:
        """The EC2 host of `make ec2-train`, which ends itself; on spot it falls back to on demand."""
        host = self.settings.ec2
        if host is None:
            return
        limit_h = host.limit_s / 3600
        guess_h = None if self._job_hours is None else min(self._job_hours, limit_h)
        is_spot = host.market == "spot"
        share = self._share(host.instance_type) if is_spot else None
        what = f"EC2 host: 1 x {host.instance_type}{' on spot' if is_spot else ''}, {limit_h:g} h at most"
        yield _ending("host", what, self._find("ec2", host.instance_type), 1, guess_h, limit_h, share)
        disk = f"EC2 host: disk of {host.volume_gb} GB"
        yield _ending("host", disk, self._find("disk"), host.volume_gb / MONTH_H, guess_h, limit_h)
        yield _ending("host", "EC2 host: public address", self._find("public-address"), 1, guess_h, limit_h)

    def per_call(self) -> tuple[Price, ...]:
        return tuple(price for usage in ("requests", "duration") if (price := self._find(usage)))

    def _jobs(self, kind: str, what: str, training: TrainingSettings, count: int) -> Iterable[CostLine]:
        limit_h = training.limit_s / 3600
        guess_h = None if self._job_hours is None else min(self._job_hours, limit_h)
        hours = f"{training.instances} x {training.instance_type}{' on spot' if training.spot else ''}"
        price = self._find("training", training.instance_type)
        share = self._share(training.instance_type) if training.spot else None
        described = f"{what}: {hours}, {limit_h:g} h at most"
        yield _ending(kind, described, price, count * training.instances, guess_h, limit_h, share)
        if training.instance_type.split(".")[1] not in FAMILIES_WITH_DISKS:
            gb_months = count * training.instances * training.volume_gb / MONTH_H
            what = f"{what}: volumes of {training.volume_gb} GB"
            yield _ending(kind, what, self._find("volume"), gb_months, guess_h, limit_h)

    def _share(self, instance_type: str) -> SpotShare | None:
        share = spot_share(self._prices, instance_type, self.settings.region)
        if share is None:
            self.spot_unknown.append(instance_type)
        else:
            self.spot.append(share)
        return share

    def _find(self, usage: str, instance_type: str = "") -> Price | None:
        region = self.settings.region
        price = self._prices.find(usage, instance_type, region)
        if price is None:
            self.unknown.append(f"no price is known for {_named(usage, instance_type)} in {region}")
        return price


def _standing(
    kind: str, what: str, price: Price | None, units_per_hour: float, most_per_hour: float | None = None
) -> CostLine:
    """What costs every hour, as long as it stands; at most so much as at first where no more is given."""
    if price is None:
        return CostLine(kind, what, None)
    hour = price.usd * units_per_hour
    most = hour if most_per_hour is None else price.usd * most_per_hour
    return CostLine(kind, what, price, hour, hour * MONTH_H, None, most * MONTH_H)


def _ending(
    kind: str,
    what: str,
    price: Price | None,
    units_per_hour: float,
    guess_h: float | None,
    limit_h: float,
    share: SpotShare | None = None,
) -> CostLine:
    """What costs once, for so many hours; with a `share`, on spot instances."""
    if price is None:
        return CostLine(kind, what, None)
    hour = price.usd * units_per_hour
    saved = share.saved if share else 0.0
    estimated = None if guess_h is None else hour * guess_h * (1 - saved)
    saves = hour * (limit_h if guess_h is None else guess_h) * saved if share else None
    return CostLine(kind, what, price, None, None, estimated, hour * limit_h, saves)


def _most(endpoint: EndpointSettings) -> int:
    return endpoint.scaling.max_instances if endpoint.scaling else endpoint.instances


def _instances(endpoint: EndpointSettings) -> str:
    most = _most(endpoint)
    return f"{endpoint.instances} to {most}" if most > endpoint.instances else f"{endpoint.instances}"


def _named(usage: str, instance_type: str) -> str:
    return _NAMES.get(usage) or f"{usage} on {instance_type}"


def lines(cost: Cost, today: datetime.date) -> list[str]:
    """For the reader: a table of what costs, with the total last, then what is missing in it, what at worst means, and
    how old the prices are. There is no column of guessed hours or of savings where there are none."""
    columns = [one for one in _COLUMNS if one.name not in _OPTIONAL or cost.total(one.name) is not None]
    table = [
        _row([one.title for one in columns], "On AWS this would cost"),
        *(_row([one.text(getattr(line, one.name)) for one in columns], _described(line)) for line in cost.lines),
        _row([one.text(cost.total(one.name)) for one in columns], "what is known" if cost.unknown else "in all"),
    ]
    unknown = [
        *(f"{text[0].upper()}{text[1:]}." for text in cost.unknown),
        *(
            f"What spot saves on {name} in {cost.region} is not known: nothing is counted as saved."
            for name in cost.spot_unknown
        ),
    ]
    calls = f" ({', '.join(_price_text(price) for price in cost.per_call)})" if cost.per_call else ""
    not_counted = f"Not counted: calls of the function{calls}, {NOT_COUNTED}."
    spot = [_SPOT] if cost.spot else []
    return [*table, *unknown, _AT_WORST, *spot, not_counted, _dated(cost, today)]


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
    _Column("spot_saves", "spot saves"),
)
_OPTIONAL = ("estimated", "spot_saves")


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
    asked = sum(price.basis.startswith((BASIS, SPOT_BASIS)) for price in cost.prices)
    sources = f"{NAME}, and AWS itself for {asked} of {len(cost.prices)}" if asked else NAME
    age = f"the oldest read {oldest} ({age_days(oldest, today)} days ago)"
    return f"Prices of {cost.region}, {age}, sources: {sources}."


def document(cost: Cost, today: datetime.date) -> dict[str, Any]:
    """The cost as JSON: amounts in US dollars, and each price with its day and its source."""
    return {
        "region": cost.region,
        "currency": "USD",
        "month_hours": MONTH_H,
        "lines": [_line_document(line, today) for line in cost.lines],
        "total": {column.name: cost.total(column.name) for column in _COLUMNS},
        "per_call": [_price_document(price, today) for price in cost.per_call],
        "spot": [_share_document(share, today) for share in cost.spot],
        "spot_unknown": list(cost.spot_unknown),
        "unknown": list(cost.unknown),
        "not_counted": f"calls of the function, {NOT_COUNTED}",
    }


def _line_document(line: CostLine, today: datetime.date) -> Mapping[str, Any]:
    return {**asdict(line), "price": _price_document(line.price, today) if line.price else None}


def _share_document(share: SpotShare, today: datetime.date) -> Mapping[str, Any]:
    both = {"on_demand": _price_document(share.on_demand, today), "spot": _price_document(share.spot, today)}
    return {"saved": share.saved, **both}


def _price_document(price: Price, today: datetime.date) -> Mapping[str, Any]:
    return {**asdict(price), "read": price.read.isoformat(), "age_days": age_days(price.read, today)}

"""What a plan says besides its steps: the cost, the budget, the quotas that it needs, and cheaper ways.

For AWS the Price List API, the spot prices and Service Quotas are asked, by calls that change nothing.
"""

import datetime
from dataclasses import asdict, dataclass
from typing import Any

from infra import advice, budget, cost, quotas
from infra.advice import Advice
from infra.budget import Exceeded
from infra.clients import Clients
from infra.cost import Cost
from infra.paths import paths
from infra.prices import price_list, prices
from infra.prices.prices import Prices
from infra.quotas import Quotas
from infra.settings import BudgetSettings, DeploymentSettings


@dataclass(frozen=True)
class Estimate:
    """All of it, on the day `today`. `problem` says why AWS could not be asked for prices, or nothing."""

    today: datetime.date
    cost: Cost
    quotas: Quotas
    advice: tuple[Advice, ...]
    budget: BudgetSettings
    exceeded: tuple[Exceeded, ...]
    problem: str = ""

    def lines(self) -> list[str]:
        """For the reader."""
        return [
            *cost.lines(self.cost, self.today),
            *([f"{self.problem}."] if self.problem else []),
            *(str(one) for one in self.exceeded),
            *quotas.lines(self.quotas),
            *advice.lines(self.advice),
        ]

    def document(self) -> dict[str, Any]:
        """As JSON, member by member."""
        return {
            "cost": {**cost.document(self.cost, self.today), "problem": self.problem},
            "budget": budget.document(self.budget, self.exceeded),
            "quotas": quotas.document(self.quotas),
            "advice": [asdict(one) for one in self.advice],
        }


def estimate(
    settings: DeploymentSettings, stored_bytes: int, clients: Clients, today: datetime.date, job_hours: float | None
) -> Estimate:
    """Of a deployment from nothing, as `cost.cost_of` counts it. Asks AWS where it is the target, and writes only the
    file of prices in the state folder."""
    found, problem = _prices(settings, clients, today)
    counted = cost.cost_of(settings, stored_bytes, found, job_hours)
    return Estimate(
        today,
        counted,
        _quotas(settings, clients),
        advice.advice_of(settings, found),
        settings.budget,
        budget.exceeded(settings.budget, counted),
        problem,
    )


def exceeded(
    settings: DeploymentSettings, stored_bytes: int, clients: Clients, today: datetime.date
) -> tuple[Exceeded, ...]:
    """The limits of the budget that the deployment does not keep. Nothing is asked where there is no budget."""
    if settings.budget == BudgetSettings():
        return ()
    found, _ = _prices(settings, clients, today)
    return budget.exceeded(settings.budget, cost.cost_of(settings, stored_bytes, found))


def _prices(settings: DeploymentSettings, clients: Clients, today: datetime.date) -> tuple[Prices, str]:
    """Those of the table, and in place of them those that AWS tells; and why it did not."""
    table, region = prices.read(), settings.region
    if clients.target != "aws":
        return table, ""
    endpoint_region = price_list.ENDPOINT_REGIONS.get(clients.session.get_partition_for_region(region))
    if endpoint_region is None:
        return table, f"AWS has no Price List API for {region}"
    wanted = [*cost.keys_of(settings), *advice.keys_of(settings)]
    pricing = clients.other("pricing", endpoint_region)
    cache = paths().state / "prices.json"
    answer = price_list.read(pricing, clients.ec2, region, wanted, today, cache)
    return table.replaced_by(answer.prices), answer.problem


def _quotas(settings: DeploymentSettings, clients: Clients) -> Quotas:
    host = settings.ec2
    needs = (
        *quotas.needs_of(settings),
        *(quotas.host_needs(host.instance_type, host.market == "spot") if host else ()),
    )
    if clients.target != "aws":
        return quotas.not_asked(settings.region, needs)
    return quotas.read_applied(clients.other("service-quotas", settings.region), settings.region, needs)

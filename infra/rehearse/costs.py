"""What the run would have cost on AWS, and what the system costs while it stands."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from infra import cost
from infra.prices import prices
from infra.prices.prices import Prices
from infra.rehearse.rehearsal import Rehearsal
from infra.rehearse.search import seconds_of
from infra.rehearse.section import Section, Table


@dataclass(frozen=True)
class Spent:
    """Instances of a type for so many seconds each; `usage` is that of the prices."""

    what: str
    usage: str
    instance_type: str
    instances: int
    seconds: float

    def usd(self, found: Prices, region: str) -> float | None:
        """What they cost on AWS, None where no price is known."""
        price = found.find(self.usage, self.instance_type, region)
        return None if price is None else price.usd * self.instances * self.seconds / 3600


def play(rehearsal: Rehearsal) -> Section:
    """By the table of prices: the jobs for as long as they ran here, the endpoints for as long as they stood, and the
    plan's estimate of the system as its preset has it."""
    jobs = {job["TrainingJobName"]: job for job in rehearsal.jobs.values()}
    spent = [
        *([of_jobs("the search", rehearsal.tuned)] if rehearsal.tuned else []),
        *(of_jobs(f"training job {name}", [job]) for name, job in jobs.items()),
        *_endpoints(rehearsal),
        *_host(rehearsal),
    ]
    found, today = prices.read(), datetime.now(UTC).date()
    stored = sum(photo.path.stat().st_size for photo in rehearsal.dataset.photos)
    hours = max(seconds_of(job) for job in [*rehearsal.tuned, *jobs.values()]) / 3600
    estimate = cost.lines(cost.cost_of(rehearsal.preset, stored, found, hours), today)
    return section(spent, found, rehearsal.preset.region, estimate)


def of_jobs(what: str, jobs: Sequence[Mapping[str, Any]]) -> Spent:
    """Training jobs of one sort, one after the other."""
    resources = jobs[0]["ResourceConfig"]
    seconds = sum(seconds_of(job) for job in jobs)
    return Spent(what, "training", resources["InstanceType"], int(resources["InstanceCount"]), seconds)


def _endpoints(rehearsal: Rehearsal) -> list[Spent]:
    blueprint, now_s = rehearsal.deployment.blueprint, time.time()
    found = []
    for model in blueprint.settings.models:
        name, endpoint = blueprint.endpoint(model), model.endpoint
        described = rehearsal.clients.sagemaker.describe_endpoint(EndpointName=name)
        seconds = now_s - described["CreationTime"].timestamp()
        found.append(Spent(f"endpoint {name}", "hosting", endpoint.instance_type, endpoint.instances, seconds))
    return found


def _host(rehearsal: Rehearsal) -> list[Spent]:
    outcome, settings = rehearsal.host, rehearsal.preset.ec2
    if outcome is None or settings is None:
        return []
    usage = "ec2-spot" if settings.market == "spot" else "ec2"
    return [Spent("EC2 host", usage, settings.instance_type, 1, outcome.host.billed_s)]


def section(spent: Sequence[Spent], found: Prices, region: str, estimate: Sequence[str]) -> Section:
    """The costs of the run, and below them the lines of the estimate."""
    amounts = [one.usd(found, region) for one in spent]
    rows = [
        (one.what, f"{one.instances} x {one.instance_type}", f"{one.seconds:.0f}", _usd(amount))
        for one, amount in zip(spent, amounts, strict=True)
    ]
    total = sum(amount for amount in amounts if amount is not None)
    known = "in all" if None not in amounts else "what is known"
    return Section(
        "What it would have cost on AWS",
        (
            "As if AWS had taken as long as this machine, which has other cores and small data: an order of magnitude. "
            "Endpoints count with the instances that they begin with.",
            "Below is what `make plan` says of the system as its preset has it, with the longest training job here as "
            "the guess how long one takes.",
        ),
        (Table(("What", "On", "Seconds", "US dollars"), (*rows, (known, "", "", _usd(total)))),),
        code="\n".join(estimate),
    )


def _usd(amount: float | None) -> str:
    return "price unknown" if amount is None else f"{amount:.4f}"

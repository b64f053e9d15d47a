"""Where and how a host is launched, what is tried next when AWS refuses it, and what a person can do at last. Pure.

Spot is tried in each subnet, by zones, then on demand in each. A refusal is of one subnet, of its zone, or of a market
as a whole.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from infra.ec2.settings import MARKETS
from infra.instance_types import next_types
from infra.quotas import CODES, host_needs, request_command

# AWS's codes (https://docs.aws.amazon.com/AWSEC2/latest/APIReference/errors-overview.html), and what they mean.
OF_THE_SUBNET: Mapping[str, str] = {"InsufficientFreeAddressesInSubnet": "the subnet has no free address"}
OF_THE_ZONE: Mapping[str, str] = {
    "InsufficientInstanceCapacity": "the zone has no capacity of this type now",
    "InsufficientHostCapacity": "the zone has no capacity of this type now",
    "SpotMaxPriceTooLow": "the spot price is above that of on demand",
    "Unsupported": "the zone does not have this type",
}
OF_THE_MARKET: Mapping[str, str] = {
    "MaxSpotInstanceCountExceeded": "the account's quota of spot vCPUs of this family is used up, or 0",
    "VcpuLimitExceeded": "the account's quota of on-demand vCPUs of this family is used up, or 0",
    "InstanceLimitExceeded": "the account's quota of instances is used up",
}
REASONS: Mapping[str, str] = {**OF_THE_SUBNET, **OF_THE_ZONE, **OF_THE_MARKET}


@dataclass(frozen=True)
class Try:
    """One call of RunInstances: a market, and a subnet in a zone."""

    market: str
    zone: str
    subnet: str

    def __str__(self) -> str:
        return f"{'a spot instance' if self.market == 'spot' else 'an instance on demand'} in {self.zone}"


@dataclass(frozen=True)
class Refusal:
    """A try that AWS refused with a code, which is one of REASONS."""

    what: Try
    code: str

    def __str__(self) -> str:
        return f"{self.what}: {REASONS[self.code]} ({self.code})"


def tries(market: str, subnets: Mapping[str, str], zones: Iterable[str]) -> tuple[Try, ...]:
    """All that may be tried, in order. `subnets` are zones by the subnets' ids; `zones` have the instance type.
    Spot falls back to on demand."""
    markets = ("spot", "on-demand") if market == "spot" else (market,)
    with_type = set(zones)
    known = sorted((zone, subnet) for subnet, zone in subnets.items() if zone in with_type)
    return tuple(Try(market, zone, subnet) for market in markets for zone, subnet in known)


def after(refused: Try, code: str, rest: Iterable[Try]) -> tuple[Try, ...]:
    """What is left to try after AWS refused one with this code, which is one of REASONS."""
    left = tuple(rest)
    if code in OF_THE_MARKET:
        return tuple(one for one in left if one.market != refused.market)
    if code in OF_THE_ZONE:
        return tuple(one for one in left if (one.market, one.zone) != (refused.market, refused.zone))
    return left


def next_step(refusals: Iterable[Refusal], instance_type: str) -> str:
    """What to do where AWS has refused every try."""
    codes = {one.code for one in refusals}
    others = next_types(instance_type)
    if codes <= OF_THE_MARKET.keys():  # other types of the same quota would not help
        quotas_of = {one: [need.name for need in host_needs(one, spot=True)] for one in (instance_type, *others)}
        others = tuple(one for one in others if quotas_of[one] != quotas_of[instance_type])
    steps = [
        *([] if codes <= OF_THE_MARKET.keys() else ["run this again in some minutes"]),
        *(["ask AWS for a higher quota, which may take days"] if codes & OF_THE_MARKET.keys() else []),
        *([f"set instance_type of [ec2] to {' or '.join(others)}"] if others else []),
    ]
    text = ", or ".join(steps)
    return f"{text[0].upper()}{text[1:]}."


def quota_requests(refusals: Iterable[Refusal], instance_type: str, region: str) -> tuple[str, ...]:
    """The commands that ask AWS for the quotas that were used up, as far as they are known."""
    markets = {one.what.market for one in refusals if one.code in OF_THE_MARKET}
    needs = zip(MARKETS, host_needs(instance_type, spot=True), strict=False)  # none for a type that is not known
    return tuple(request_command(need, region, CODES[need.name]) for market, need in needs if market in markets)

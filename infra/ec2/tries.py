"""Where and how a host is launched, and what is tried next when AWS refuses it. Pure.

Spot is tried in each subnet, by zones, then on demand in each. A refusal is of one subnet, of its zone, or of a market
as a whole.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

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

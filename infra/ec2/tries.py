"""Where and how a host is launched, and what is tried next when AWS refuses it. Pure.

Spot is tried in each zone, then on demand in each zone. A refusal is of one zone, or of a market as a whole.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

# AWS's codes (https://docs.aws.amazon.com/AWSEC2/latest/APIReference/errors-overview.html), and what they mean.
OF_THE_ZONE: Mapping[str, str] = {
    "InsufficientInstanceCapacity": "the zone has no capacity of this type now",
    "InsufficientHostCapacity": "the zone has no capacity of this type now",
    "SpotMaxPriceTooLow": "the spot price is above that of on demand",
    "Unsupported": "the zone does not have this type",
}
OF_THE_MARKET: Mapping[str, str] = {
    "MaxSpotInstanceCountExceeded": "the account's quota of spot vCPUs of this family is used up, or 0",
    "VcpuLimitExceeded": "the account's quota of on-demand vCPUs of this family is used up, or 0",
}
REASONS: Mapping[str, str] = {**OF_THE_ZONE, **OF_THE_MARKET}


@dataclass(frozen=True)
class Try:
    """One call of RunInstances: a market, and a subnet in a zone."""

    market: str
    zone: str
    subnet: str

    def __str__(self) -> str:
        return f"{'a spot instance' if self.market == 'spot' else 'an instance on demand'} in {self.zone}"


def tries(market: str, subnets: Mapping[str, str], zones: Iterable[str]) -> tuple[Try, ...]:
    """All that may be tried, in order; `zones` are those that have the instance type. Spot falls back to on demand."""
    markets = ("spot", "on-demand") if market == "spot" else (market,)
    known = sorted(set(zones) & subnets.keys())
    return tuple(Try(market, zone, subnets[zone]) for market in markets for zone in known)


def after(refused: Try, code: str, rest: Iterable[Try]) -> tuple[Try, ...]:
    """What is left to try after AWS refused one with this code, which is one of REASONS."""
    if code in OF_THE_MARKET:
        return tuple(one for one in rest if one.market != refused.market)
    return tuple(rest)

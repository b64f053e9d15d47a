"""Who answers the next request to an endpoint: a fleet by its share, a variant by its weight, then an instance."""

import itertools
import threading
from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Protocol

from stagemaker.hosting.instance import Lease
from stagemaker.hosting.layout import VariantLayout
from stagemaker.hosting.multi_model import by_model


class RoutedInstance(Protocol):
    """The part of `instance.Instance` that the router needs."""

    @property
    def id(self) -> str: ...
    @property
    def in_service(self) -> bool: ...
    @property
    def outstanding(self) -> int: ...
    def holds(self, target_model: str) -> bool: ...
    def take(self) -> Lease | None: ...


class RoutedFleet(Protocol):
    """The part of `fleet.Fleet` that the router needs."""

    @property
    def weights(self) -> Mapping[str, float]: ...
    def instances(self, variant: str) -> Sequence[RoutedInstance]: ...


class WeightedRoundRobin[K]:
    """Gives requests out so that after any number of them the shares are as near to the weights as can be. It begins
    anew when the weights change: else it would make up for the past."""

    def __init__(self) -> None:
        self._weights: dict[K, float] = {}
        self._given: dict[K, int] = {}

    def next(self, weights: Mapping[K, float]) -> K | None:
        """Who gets the next request; None when no weight is above 0."""
        if weights != self._weights:
            self._weights, self._given = dict(weights), dict.fromkeys(weights, 0)
        taking = [key for key, weight in self._weights.items() if weight > 0]
        chosen = min(taking, key=lambda key: (self._given[key] + 1) / self._weights[key], default=None)
        if chosen is not None:
            self._given[chosen] += 1
        return chosen


@dataclass(frozen=True, eq=False)
class _Turns:
    """Whose turn it is in one fleet."""

    variants: WeightedRoundRobin[str] = field(default_factory=WeightedRoundRobin)
    instances: dict[str, Iterator[int]] = field(default_factory=lambda: defaultdict(itertools.count))


type Active[F] = Mapping[F, Mapping[str, int]]  # instances, by fleet and variant


class Router[F: RoutedFleet]:
    """Of one endpoint. Thread-safe; it waits for nothing."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._shares: dict[F, float] = {}
        self._fleets: WeightedRoundRobin[F] = WeightedRoundRobin()
        self._turns: dict[F, _Turns] = {}
        self._active: Active[F] = {}

    @property
    def shares(self) -> Mapping[F, float]:
        """Of each fleet, as `set_shares` got them."""
        return self._shares

    def set_shares(self, shares: Mapping[F, float], active: Active[F] = MappingProxyType({})) -> None:
        """From now on these fleets get the requests, in proportion to their shares, and no others. Of a variant that
        `active` names, so many instances take them; of any other, all."""
        with self._lock:
            self._active = active
            self._turns = {fleet: self._turns.get(fleet) or _Turns() for fleet in shares}
            self._shares = dict(shares)

    def choose(self, variant: str | None = None, besides: Collection[F] = ()) -> tuple[F, str | None] | None:
        """A fleet for the next request, none of `besides`, and its variant unless the caller asks for one: None when
        none has a weight. None when no such fleet has a share. A variant that only one fleet has is asked for there."""
        with self._lock:
            taking = [fleet for fleet, share in self._shares.items() if share > 0]
            having = [fleet for fleet in taking if variant in fleet.weights] or taking
            able = [fleet for fleet in having if fleet not in besides]
            fleet = next(iter(able), None) if len(able) < 2 or besides else self._fleets.next(self._shares)
            if fleet is None:
                return None
            return fleet, variant or self._turns[fleet].variants.next(fleet.weights)

    def lease(self, fleet: F, variant: VariantLayout, besides: Collection[str], target_model: str = "") -> Lease | None:
        """A place on an instance in service, none of `besides` (instance ids): the one whose turn it is, or one with
        the fewest outstanding requests, as the variant says; for a model of a multi-model endpoint as `by_model` says.
        None when there is none, or the fleet has no share."""
        with self._lock:
            turns = self._turns.get(fleet)
            free = [i for i in fleet.instances(variant.name) if i.in_service and i.id not in besides]
            free = free[: self._active.get(fleet, {}).get(variant.name)]
            if turns is None or not free:
                return None
            first = next(turns.instances[variant.name]) % len(free)
            free = free[first:] + free[:first]
            if target_model:
                free = by_model(free, target_model)
            elif variant.least_outstanding:
                free.sort(key=lambda instance: instance.outstanding)
            leases = (instance.take() for instance in free)  # None for one that has left service just now
            lease = next(filter(None, leases), None)
            if lease:
                lease.others, lease.target_model = len(free) > 1, target_model
            return lease

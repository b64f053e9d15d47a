"""Who gets which request, without a container."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import starmap

import pytest

from stagemaker.hosting.http_client import HttpClient
from stagemaker.hosting.instance import Lease
from stagemaker.hosting.layout import ContainerLayout, VariantLayout
from stagemaker.hosting.passage import ContainerClient
from stagemaker.hosting.router import Router, WeightedRoundRobin

CONTAINER = ContainerLayout("primary", "image", {}, None)
IN_TURN = VariantLayout("a", (CONTAINER,), "ml.m5.large", "role", 1, 60, least_outstanding=False)
LEAST = replace(IN_TURN, least_outstanding=True)


@dataclass
class FakeInstance:
    """`takes`: how many requests it still takes; more than it says, it has left service meanwhile."""

    id: str
    outstanding: int = 0
    in_service: bool = True
    takes: int = 1000
    models: Sequence[str] = ()

    def holds(self, target_model: str) -> bool:
        return target_model in self.models

    def take(self) -> Lease | None:
        if self.takes == 0:
            return None
        self.takes -= 1
        self.outstanding += 1
        return Lease(self.id, [ContainerClient("primary", HttpClient(("127.0.0.1", 1)))], self.leave)

    def leave(self, lease: Lease) -> None:
        self.outstanding -= 1


@dataclass(eq=False)
class FakeFleet:
    weights: Mapping[str, float] = field(default_factory=lambda: {"a": 1.0})
    of_a: Sequence[FakeInstance] = ()

    def instances(self, variant: str) -> Sequence[FakeInstance]:
        return self.of_a


def fleet(*instances: FakeInstance) -> FakeFleet:
    return FakeFleet(of_a=instances)


def router(shares: Mapping[FakeFleet, float]) -> Router[FakeFleet]:
    made: Router[FakeFleet] = Router()
    made.set_shares(shares)
    return made


def takes(made: Router[FakeFleet], of: FakeFleet, variant: VariantLayout = IN_TURN, count: int = 1) -> list[str]:
    """Who gets `count` requests that are not answered."""
    leases = [made.lease(of, variant, ()) for _ in range(count)]
    return [lease.id if lease else "none" for lease in leases]


def test_requests_are_shared_by_weight_at_every_moment() -> None:
    turns: WeightedRoundRobin[str] = WeightedRoundRobin()
    order = [turns.next({"a": 2.0, "b": 1.0, "none": 0.0}) for _ in range(9)]
    assert Counter(order) == {"a": 6, "b": 3}
    assert all(abs(order[:n].count("a") - n * 2 / 3) <= 1 for n in range(10))


def test_no_weight_no_variant() -> None:
    assert WeightedRoundRobin[str]().next({"a": 0.0}) is None


def test_new_weights_do_not_make_up_for_the_past() -> None:
    turns: WeightedRoundRobin[str] = WeightedRoundRobin()
    assert {turns.next({"a": 1.0, "b": 0.0}) for _ in range(100)} == {"a"}
    assert Counter(turns.next({"a": 1.0, "b": 1.0}) for _ in range(10)) == {"a": 5, "b": 5}


def test_fleets_get_their_shares_and_variants_their_weights() -> None:
    old, new = FakeFleet({"a": 1.0}), FakeFleet({"a": 1.0, "b": 3.0})
    made = router({old: 0.5, new: 0.5})
    chosen = [made.choose() for _ in range(16)]
    assert Counter(who for who in chosen if who) == {(old, "a"): 8, (new, "a"): 2, (new, "b"): 6}
    made.set_shares({new: 1.0})
    assert {fleet for fleet, _ in filter(None, (made.choose() for _ in range(4)))} == {new}


def test_a_variant_that_the_caller_asks_for_is_not_counted() -> None:
    only = FakeFleet({"a": 1.0, "b": 1.0})
    made = router({only: 1.0})
    assert [made.choose("b") for _ in range(9)] == [(only, "b")] * 9
    assert Counter(made.choose() for _ in range(4)) == {(only, "a"): 2, (only, "b"): 2}


def test_nothing_to_choose() -> None:
    assert router({}).choose() is None
    only = FakeFleet({"a": 0.0})
    assert router({only: 1.0}).choose() == (only, None)


def test_instances_take_turns() -> None:
    of = fleet(*starmap(FakeInstance, [("x",), ("y",), ("z",)]))
    assert takes(router({of: 1.0}), of, count=6) == ["x", "y", "z", "x", "y", "z"]


def test_the_fewest_outstanding_requests() -> None:
    of = fleet(FakeInstance("x", 2), FakeInstance("y"), FakeInstance("z", 1))
    assert takes(router({of: 1.0}), of, LEAST, count=3)[0] == "y"
    assert sorted(instance.outstanding for instance in of.of_a) == [2, 2, 2]


def test_instances_that_are_not_in_service_or_were_tried_are_passed_over() -> None:
    of = fleet(FakeInstance("x", in_service=False), FakeInstance("y"), FakeInstance("z"))
    made = router({of: 1.0})
    first = made.lease(of, IN_TURN, {"y"})
    assert first
    assert (first.id, first.others) == ("z", False)
    second = made.lease(of, IN_TURN, ())
    assert second
    assert second.others
    assert made.lease(of, IN_TURN, {"y", "z"}) is None


@pytest.mark.parametrize("variant", [IN_TURN, LEAST])
def test_an_instance_that_leaves_service_while_it_is_chosen(variant: VariantLayout) -> None:
    of = fleet(FakeInstance("x", takes=0), FakeInstance("y", takes=2))
    assert takes(router({of: 1.0}), of, variant, count=4) == ["y", "y", "none", "none"]


def test_a_fleet_without_a_share_gives_no_place() -> None:
    of = fleet(FakeInstance("x"))
    made = router({of: 1.0})
    made.set_shares({})
    assert made.lease(of, IN_TURN, ()) is None


def test_a_lease_ends_with_its_request() -> None:
    instance = FakeInstance("x")
    of = fleet(instance)
    lease = router({of: 1.0}).lease(of, IN_TURN, ())
    assert lease
    with lease:
        assert instance.outstanding == 1
    assert instance.outstanding == 0

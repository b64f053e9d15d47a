"""Which fleet of an endpoint gets which share, with fleets that nothing runs for."""

from pathlib import Path

from stagemaker.core.supervisor import Supervisor
from stagemaker.hosting.context import FleetContext
from stagemaker.hosting.endpoint_fleets import EndpointFleets
from stagemaker.hosting.fleet import Fleet
from stagemaker.hosting.health import HealthTimes
from stagemaker.hosting.layout import FleetLayout
from stagemaker.runtime.fake import FakeRuntime
from tests.unit.plugin.fakes import SCOPE, FakeAws, FakeClock, FakeLogs

CONTEXT = FleetContext(FakeRuntime({}), FakeAws(), FakeLogs(), FakeClock(), Supervisor(), HealthTimes())


def fleet() -> Fleet:
    return Fleet(FleetLayout("end", "config", Path(), "group", ()), {}, SCOPE, CONTEXT)


def test_the_coming_fleet_gets_its_share_and_the_one_in_service_the_rest() -> None:
    old, new = fleet(), fleet()
    endpoint = EndpointFleets(in_service={old: 1.0}, coming=new)
    endpoint.route(0.0)
    assert endpoint.router.shares == {old: 1.0}
    endpoint.route(0.25)
    assert endpoint.router.shares == {old: 0.75, new: 0.25}
    endpoint.drop(new)
    assert (endpoint.router.shares, endpoint.coming) == ({old: 1.0}, None)


def test_a_first_fleet_gets_all_or_nothing() -> None:
    new = fleet()
    endpoint = EndpointFleets(coming=new)
    endpoint.route(0.0)
    assert endpoint.router.shares == {}
    endpoint.route(0.25)
    assert endpoint.router.shares == {new: 1.0}


def test_a_fleet_that_leaves_gives_its_share_to_the_other() -> None:
    old, new = fleet(), fleet()
    endpoint = EndpointFleets(in_service={old: 1.0}, coming=new)
    endpoint.route(0.25)
    endpoint.drop(old)
    assert endpoint.router.shares == {new: 1.0}


def test_two_fleets_in_service_keep_their_proportion_while_a_third_comes() -> None:
    old, other, new = fleet(), fleet(), fleet()
    endpoint = EndpointFleets(in_service={old: 0.75, other: 0.25}, coming=new)
    endpoint.route(0.5)
    assert endpoint.router.shares == {old: 0.375, other: 0.125, new: 0.5}
    endpoint.drop(new)
    assert endpoint.router.shares == {old: 0.75, other: 0.25}


def test_a_fleet_without_a_share_takes_over_when_the_other_leaves() -> None:
    old, other = fleet(), fleet()
    endpoint = EndpointFleets()
    endpoint.settle({old: 0.0, other: 1.0})
    assert endpoint.serving is old
    endpoint.drop(other)
    assert endpoint.router.shares == {old: 1.0}

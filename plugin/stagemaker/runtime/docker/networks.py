"""The networks of our containers: a bridge of its own for each job, endpoint and function, which nobody else is on.

A new one takes the engine 100 ms, and our own container 40 ms to join: one that is not needed any more is kept for the
next. How link-local addresses and the stage are reached on them: docs/decisions/0015.
"""

import logging
import threading
import uuid
from collections.abc import Callable, Mapping, Set
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass, field
from ipaddress import IPv4Network
from pathlib import Path

from stagemaker.core.credentials import Credentials
from stagemaker.core.errors import ApiError, hinted
from stagemaker.core.supervisor import Supervisor
from stagemaker.runtime.docker.config import engine_name
from stagemaker.runtime.docker.credentials import ADDRESS, CredentialsEndpoint, device_of
from stagemaker.runtime.docker.engine import Engine, EngineError, EngineGone, suppress_missing
from stagemaker.runtime.docker.mounts import OwnContainer
from stagemaker.runtime.docker.subnets import free_subnet, link_local_addresses, routed, stage

LOG = logging.getLogger(__name__)
STAGE = "stagemaker"  # our own container's name on each network, beside those that it has on the stack's
METADATA = "169.254.169.254"  # where clouds answer for a machine, with the machine's credentials
SPARES = 8  # networks that are kept for the next job
STATE_LABEL = "com.stagemaker.state"  # on all that a runtime over one state makes
_REFUSALS = 16  # of subnets that other stacks take at the same time
_LABEL = "com.stagemaker.bridge"
_ROUTES, _ADDRESSES = "/proc/net/route", "/proc/net/fib_trie"


@dataclass(eq=False)
class Bridge:
    """A network; `numbers` are those of the containers that are on it or about to be."""

    name: str
    subnet: IPv4Network
    isolated: bool
    group: str = ""
    numbers: set[int] = field(default_factory=set)
    dead: tuple[str, ...] = (METADATA,)  # link-local addresses that lead nowhere on it
    credentials: CredentialsEndpoint | None = None  # where our own container is on it


@dataclass(frozen=True)
class Seat:
    """The place of one container on a network."""

    bridge: Bridge
    number: int

    @property
    def network(self) -> str:
        """Its name."""
        return self.bridge.name

    @property
    def link_local(self) -> tuple[str, ...]:
        """The container's link-local addresses. With the first, all link-local addresses lie on this network, where
        only we answer, and not behind the machine. The others are the machine's: with them the container meets itself
        there, and nobody listens."""
        return f"169.254.171.{self.number}", *self.bridge.dead

    def credentials(self, issue: Callable[[], Credentials]) -> str | None:
        """Have the endpoint of this network give out what `issue` returns; the path to ask for it. None where there is
        none: we are in no container, or the network is isolated."""
        return self.bridge.credentials.add(issue) if self.bridge.credentials else None

    def forget(self, path: str) -> None:
        """Give out nothing more at this path."""
        if endpoint := self.bridge.credentials:
            endpoint.remove(path)


@dataclass(frozen=True)
class _Machine:
    """Where its routes lead, but for the engine's networks and the default, and its link-local addresses."""

    routes: tuple[IPv4Network, ...]
    link_local: tuple[str, ...]


class Networks:
    """Thread-safe. `main` is the stack's network, made when there is none and then removed by `close`; the others take
    their subnets from `pool`. `labels` are put on what is made; `own` is the container that we run in, which joins
    each. Methods raise EngineError."""

    def __init__(
        self,
        engine: Engine,
        main: str,
        labels: Mapping[str, str],
        own: OwnContainer | None,
        pool: IPv4Network,
        supervisor: Supervisor,
    ) -> None:
        self._engine, self._main, self._labels, self._own = engine, main, labels, own
        self._pool, self._supervisor = pool, supervisor
        self._lock = threading.Lock()
        self._bridges: dict[str, Bridge] = {}  # those in use, by name
        self._spare: list[Bridge] = []
        self._machine: _Machine | None = None
        self._closed = False

    def join(self, group: str, *, isolated: bool = False) -> Seat:
        """A place for one more container, on the network of its group ("": it is alone); `leave` when it has ended.
        From an isolated network nothing but the network itself is reached, and our container is not on it. ApiError
        when the pool has no subnet left."""
        with self._lock:
            bridge = next((bridge for bridge in self._bridges.values() if group and bridge.group == group), None)
            if bridge is None:
                bridge = self._take_spare() if not isolated else None
                bridge = bridge or self._make(isolated)
                bridge.group = group
                self._bridges[bridge.name] = bridge
            number = next(number for number in range(1, 255) if number not in bridge.numbers)
            bridge.numbers.add(number)
            return Seat(bridge, number)

    def leave(self, seat: Seat) -> None:
        """The last one of a group gives its network back. When that fails, the network is for `sweep`."""
        with self._lock:
            bridge = seat.bridge
            bridge.numbers.discard(seat.number)
            if bridge.numbers:
                return
            self._bridges.pop(bridge.name, None)
            if bridge.isolated or self._closed or len(self._spare) >= SPARES:
                self._unmake(bridge)
            else:
                self._spare.append(bridge)

    def prepare(self) -> None:
        """Have a network ready for the first job. Raises as `join`."""
        with self._lock:
            if not self._spare and not self._closed:
                self._spare.append(self._make(isolated=False))

    def spare(self) -> list[str]:
        """The names of the networks that are kept for the next job."""
        with self._lock:
            return [bridge.name for bridge in self._spare]

    def sweep(self, state_label: str) -> None:
        """Remove the networks of earlier runs over the same state, unless others use them, and ours without members."""
        with self._lock:
            self._remove(state_label, {self._main, *self._bridges, *(bridge.name for bridge in self._spare)})

    def close(self, state_label: str) -> None:
        """Remove the networks that were made over this state, by an earlier run too, unless others use them."""
        with self._lock:
            self._closed = True
            with ThreadPoolExecutor(16) as pool:
                list(pool.map(self._hush, [*self._bridges.values(), *self._spare]))
            self._spare.clear()
            self._remove(state_label, set())

    def host(self) -> str:
        """The address at which we listen for containers: in our own container all of its own, else that of the engine's
        machine on the stack's network, which every network reaches."""
        if self._own:
            return "0.0.0.0"  # noqa: S104 - of our container, on networks of the stack
        self._make_main()
        return str(self._engine.inspect_network(self._main)["IPAM"]["Config"][0]["Gateway"])

    def host_name(self) -> str:
        """The name, or the address, by which containers call us."""
        return STAGE if self._own else self.host()

    def _take_spare(self) -> Bridge | None:
        """A network that is still there, and on which nobody but us was left."""
        while self._spare:
            bridge = self._spare[-1]
            try:
                there = self._engine.inspect_network(bridge.name)["Containers"].keys()
            except EngineError as error:
                if error.status != 404:
                    raise
                there = None
            self._spare.pop()
            if there == ({self._own.id} if self._own else set()):
                return bridge
            self._unmake(bridge)
        return None

    def _make(self, isolated: bool) -> Bridge:
        name = f"{self._main}-{uuid.uuid4().hex[:8]}"  # which sorts after the stack's: that one keeps our default route
        bridge = Bridge(name, self._create(name, {**self._labels, _LABEL: "1"}, internal=isolated), isolated)
        bridge.dead = METADATA, *self._read_machine().link_local
        try:
            if self._own and not isolated:
                self._join_ourselves(bridge, self._own)
        except BaseException:
            self._unmake(bridge)
            raise
        return bridge

    def _join_ourselves(self, bridge: Bridge, own: OwnContainer) -> None:
        address = str(stage(bridge.subnet))
        self._engine.connect(bridge.name, own.id, [*own.aliases, STAGE], address, [ADDRESS])
        try:
            endpoint = CredentialsEndpoint(device_of(address))
            endpoint.start(self._supervisor, f"credentials on {bridge.name}")
        except (OSError, LookupError, RuntimeError) as error:
            raise EngineError(f"the credentials of roles cannot be given out: {error}", 500) from error
        bridge.credentials = endpoint

    def _unmake(self, bridge: Bridge) -> None:
        self._hush(bridge)
        self._engine.remove_network(bridge.name, disconnect=True)

    def _hush(self, bridge: Bridge) -> None:
        if bridge.credentials:
            bridge.credentials.close()
            bridge.credentials = None

    def _remove(self, state_label: str, kept: Set[str]) -> None:
        for network in self._engine.networks(state_label):
            if network["Name"] in kept:
                continue
            try:
                self._engine.remove_network(network["Id"], disconnect=_LABEL in network["Labels"])
            except EngineError as error:
                if error.status != 403:  # in use
                    raise

    def _make_main(self) -> None:
        try:
            self._engine.inspect_network(self._main)
        except EngineError as error:
            if error.status != 404:
                raise
            with suppress_missing():  # 409: somebody made it in this moment
                self._create(self._main, self._labels)

    def _create(self, name: str, labels: Mapping[str, str], *, internal: bool = False) -> IPv4Network:
        """A network on the first free subnet of the pool. One that another stack takes in this moment is not listed
        yet: the engine refuses it (403), and the next is tried."""
        refused: list[IPv4Network] = []
        while True:
            taken = [*self._engine.subnets(), *self._read_machine().routes, *refused]
            subnet = free_subnet(self._pool, taken)
            if subnet is None:
                raise ApiError(
                    "ResourceLimitExceeded",
                    hinted(
                        f"There is no free network for it: all of {self._pool} is in use.",
                        "end jobs or endpoints, or set STAGEMAKER_NETWORK_POOL to a larger range of addresses.",
                    ),
                )
            try:
                self._engine.create_network(name, labels, subnet, internal=internal)
            except EngineError as error:
                if error.status != 403 or len(refused) == _REFUSALS:
                    raise
                refused.append(subnet)
            else:
                return subnet

    def _read_machine(self) -> "_Machine":
        """What the engine's machine has, as it was at first."""
        if self._machine is None:
            if self._own:
                routes, begin, tries = self._read_from_outside(self._own).partition("Main:")
            else:
                routes, begin, tries = Path(_ROUTES).read_text(), "", Path(_ADDRESSES).read_text()
            bridges = set(self._engine.subnets())  # which come and go
            own = {str(address) for address in link_local_addresses(begin + tries)}
            self._machine = _Machine(
                tuple(network for network in routed(routes) if network not in bridges),
                tuple(sorted(own - {METADATA, ADDRESS})),
            )
        return self._machine

    def _read_from_outside(self, own: OwnContainer) -> str:
        """What a container on the machine's own network reads there; nothing where the engine lets none on it."""
        config = {
            "Image": own.image,
            "Entrypoint": ["cat", _ROUTES, _ADDRESSES],
            "Cmd": [],
            "Healthcheck": {"Test": ["NONE"]},
            "Labels": {name: value for name, value in self._labels.items() if name != STATE_LABEL},  # no sweep ends it
            "HostConfig": {"NetworkMode": "host", "CapDrop": ["ALL"], "SecurityOpt": ["no-new-privileges"]},
        }
        container = ""
        try:
            container = self._engine.create(engine_name("machine", uuid.uuid4().hex[:8]), config)
            output = self._engine.attach(container)
            with closing(output):
                self._engine.start(container)
                return b"".join(chunk for _, chunk in output).decode(errors="replace")
        except EngineGone:
            raise
        except EngineError as error:
            LOG.warning("which addresses the machine has is not known: %s", error)
            return ""
        finally:
            if container:
                self._engine.remove(container)

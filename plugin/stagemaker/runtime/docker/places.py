"""Where a container is on the network: alone at an address, or with the others of its instance at one.

On AWS the containers of an instance share its network: each listens at a port of its own, which SAGEMAKER_BIND_TO_PORT
says, and takes further ports only within SAGEMAKER_SAFE_PORT_RANGE.
"""

import itertools
import threading
from dataclasses import dataclass, field

from stagemaker.runtime.contract import ContainerSpec
from stagemaker.runtime.docker.config import PORT
from stagemaker.runtime.docker.networks import Networks, Seat

SAFE_PORT, SAFE_PORTS = 10_000, 1_000  # (ours) where the first container's further ports begin, and how many each has


@dataclass(eq=False)
class Address:
    """A network address, and the numbers of the containers that have it. The others are in the network of the first
    that ran, `holder`."""

    seat: Seat
    instance: str
    holder: str = ""  # the engine's id
    ip: str = ""
    numbers: set[int] = field(default_factory=set)


@dataclass(frozen=True)
class Place:
    """Of one container at an address."""

    address: Address
    number: int

    @property
    def seat(self) -> Seat:
        """Of the address."""
        return self.address.seat

    @property
    def network(self) -> str:
        """What the engine calls it: the name of a network, or the container that it is shared with."""
        return f"container:{self.address.holder}" if self.number else self.seat.network

    @property
    def port(self) -> int:
        """Where the container listens."""
        return PORT + self.number

    @property
    def variables(self) -> dict[str, str]:
        """What a container that serves is told of it."""
        told = {"SAGEMAKER_BIND_TO_PORT": str(self.port)}
        if self.address.instance:
            first = SAFE_PORT + self.number * SAFE_PORTS
            told["SAGEMAKER_SAFE_PORT_RANGE"] = f"{first}-{first + SAFE_PORTS - 1}"
        return told

    def started(self, engine_id: str, ip: str) -> str:
        """The container runs, and the engine says this of its address; the address that it has."""
        if self.number == 0:
            self.address.holder, self.address.ip = engine_id, ip
        return self.address.ip


class Places:
    """Thread-safe, but for the containers of one instance, which come one after another. Methods raise as Networks."""

    def __init__(self, networks: Networks) -> None:
        self._networks = networks
        self._lock = threading.Lock()
        self._shared: dict[str, Address] = {}  # by instance

    def take(self, spec: ContainerSpec) -> Place:
        """A place for the container; `leave` it when that has ended."""
        with self._lock:
            address = self._shared.get(spec.instance)
        if address is None:
            address = Address(self._networks.join(spec.group, isolated=spec.isolated), spec.instance)
        with self._lock:
            if spec.instance:
                self._shared[spec.instance] = address
            number = next(number for number in itertools.count() if number not in address.numbers)
            address.numbers.add(number)
            return Place(address, number)

    def leave(self, place: Place) -> None:
        """The last one gives the address back."""
        address = place.address
        with self._lock:
            address.numbers.discard(place.number)
            if address.numbers:
                return
            self._shared.pop(address.instance, None)
        self._networks.leave(address.seat)

"""The networks that our containers are on: the stack's, and one for each group, whose hosts find each other by name."""

import threading
import uuid
from collections.abc import Mapping, Set

from stagemaker.runtime.docker.config import engine_name
from stagemaker.runtime.docker.engine import Engine, EngineError, suppress_missing
from stagemaker.runtime.docker.mounts import OwnContainer

_GROUP_LABEL = "com.stagemaker.group"


class Networks:
    """Thread-safe. `main` is the stack's network, made when there is none and then removed by `close`; `labels` are put
    on what is made; `own` is the container that we run in, which joins each group. Methods raise EngineError."""

    def __init__(self, engine: Engine, main: str, labels: Mapping[str, str], own: OwnContainer | None) -> None:
        self._engine, self._main, self._labels, self._own = engine, main, labels, own
        self._lock = threading.Lock()
        self._groups: dict[str, tuple[str, int]] = {}  # its network, and how many containers are on it or about to be

    def join(self, group: str) -> str:
        """The network for one more container of the group ("": the stack's); `leave` when it has ended."""
        with self._lock:
            if not group:
                self._make_main()
                return self._main
            network, members = self._groups.get(group) or (self._make(group), 0)
            self._groups[group] = network, members + 1
            return network

    def leave(self, group: str) -> None:
        """The last one of a group takes its network with it. When that fails, the network is for `sweep`."""
        if not group:
            return
        with self._lock:
            network, members = self._groups.pop(group)
            if members > 1:
                self._groups[group] = network, members - 1
            else:
                self._engine.remove_network(network, disconnect=True)

    def sweep(self, state_label: str) -> None:
        """Remove the networks of earlier runs over the same state, unless others use them, and ours without members."""
        with self._lock:
            self._remove(state_label, {self._main, *(network for network, _ in self._groups.values())})

    def close(self, state_label: str) -> None:
        """Remove the networks that were made over this state, by an earlier run too, unless others use them."""
        with self._lock:
            self._remove(state_label, set())

    def host(self) -> str:
        """The address at which the containers of the stack's network reach us: in our own container its own, else the
        network's gateway, which is the engine's machine."""
        if self._own:
            return str(self._engine.inspect(self._own.id)["NetworkSettings"]["Networks"][self._main]["IPAddress"])
        with self._lock:
            self._make_main()
        return str(self._engine.inspect_network(self._main)["IPAM"]["Config"][0]["Gateway"])

    def _remove(self, state_label: str, kept: Set[str]) -> None:
        for network in self._engine.networks(state_label):
            if network["Name"] in kept:
                continue
            try:
                self._engine.remove_network(network["Id"], disconnect=_GROUP_LABEL in network["Labels"])
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
                self._engine.create_network(self._main, self._labels)

    def _make(self, group: str) -> str:
        name = engine_name(group, uuid.uuid4().hex[:8])
        self._engine.create_network(name, {**self._labels, _GROUP_LABEL: group})
        try:
            if self._own:
                self._engine.connect(name, self._own.id, list(self._own.aliases))
        except EngineError:
            self._engine.remove_network(name, disconnect=True)
            raise
        return name

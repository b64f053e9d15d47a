"""A Docker runtime with a state, a network and an image of its own, and an engine that a test can take away."""

import socket
import threading
import uuid
from collections.abc import Sequence
from contextlib import closing, suppress
from ipaddress import IPv4Network
from pathlib import Path
from typing import Any

import pytest
from docker.api import APIClient

from stagemaker.core.supervisor import Supervisor
from stagemaker.runtime.contract import BASE, ContainerSpec, Mount, Registry
from stagemaker.runtime.docker.container import DockerContainer
from stagemaker.runtime.docker.runtime import DockerRuntime
from stagemaker.settings import NETWORK_POOL, DockerSettings
from tests.contract.docker_image import docker_url

LONG_S = 60  # for what happens within seconds unless something is broken
# The docker package leaves a socket that could not connect to the collector of garbage.
unreachable = pytest.mark.filterwarnings("ignore:unclosed <socket:ResourceWarning")


class DockerEnvironment:
    """`lines` is all that the containers have written."""

    def __init__(self, image: str, folder: Path, pool: IPv4Network = NETWORK_POOL) -> None:
        self.image, self.folder, self.base, self.pool = image, folder, folder / "base", pool
        self.base.mkdir()
        self.network = f"stagemaker-test-{uuid.uuid4().hex[:8]}"
        self.lines: list[str] = []
        self.ready = threading.Event()
        self.supervisor = Supervisor()
        self.runtimes: list[DockerRuntime] = []
        self.runtime = self.new_runtime()

    def new_runtime(
        self, *, gpu: str = "auto", limits: str = "none", registry: Registry | None = None, url: str = ""
    ) -> DockerRuntime:
        settings = DockerSettings(self.network, gpu, limits, "", "", 5000, self.pool)
        runtime = DockerRuntime(settings, self.folder / "state", registry, self.supervisor, url or docker_url())
        self.supervisor.own(runtime.close)
        self.runtimes.append(runtime)
        return runtime

    def spec(self, source: str, command: str = "train", **others: Any) -> ContainerSpec:
        given = {"image": self.image, "base_dir": None, "mounts": (Mount(BASE, self.base),), **others}
        given["environment"] = {"SOURCE": source, **others.get("environment", {})}
        return ContainerSpec(name="test", command=(command,), **given)

    def start(self, source: str, command: str = "train", **others: Any) -> DockerContainer:
        return self.runtime.start(self.spec(source, command, **others), self.hear)

    def start_ready(self, source: str, command: str = "train", **others: Any) -> DockerContainer:
        self.ready.clear()
        container = self.start(source, command, **others)
        assert self.ready.wait(LONG_S), (container.poll(), self.lines)
        return container

    def hear(self, line: str) -> None:
        self.lines.append(line)
        if line == "ready":
            self.ready.set()

    def left(self) -> list[str]:
        """The names of our containers, and of our networks on which none of them is, but for the stack's network and
        those that are ready for the next job."""
        known = {self.network, *(name for runtime in self.runtimes for name in runtime.spare_networks())}
        label = {"label": self.runtime._state_label}
        with closing(client()) as engine:
            containers = engine.containers(all=True, filters=label)
            networks = [network["Name"] for network in engine.networks(filters=label)]
        for container in containers:
            known.update(container["NetworkSettings"]["Networks"])
        names = [container["Names"][0] for container in containers]
        return [*names, *(name for name in networks if name not in known)]

    def close(self) -> None:
        self.supervisor.close()


def client() -> APIClient:
    return APIClient(base_url=docker_url(), version="1.45", timeout=120)


def run_container(engine: APIClient, image: str, command: Sequence[str], **config: Any) -> str:
    """Start a container of the test's own; its id."""
    described = {"Image": image, "Cmd": list(command), "Labels": {"com.stagemaker": "1"}, **config}
    container: str = engine.create_container_from_config(described)["Id"]  # type: ignore[no-untyped-call]
    engine.start(container)
    return container


class Proxy:
    """A Unix socket that leads to the engine's, until it is cut."""

    def __init__(self, path: Path) -> None:
        self.path, self.url = path, f"unix://{path}"
        self._sockets: list[socket.socket] = []
        self.mend()

    def mend(self) -> None:
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(str(self.path))
        self._listener.listen()
        threading.Thread(target=self._accept, args=(self._listener,), daemon=True).start()

    def cut(self) -> None:
        """As when the engine's process ends: connections break, and nobody listens."""
        self.path.unlink()
        for each in (self._listener, *self._sockets):
            with suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)
            each.close()
        self._sockets.clear()

    def _accept(self, listener: socket.socket) -> None:
        with suppress(OSError):
            while True:
                here, _ = listener.accept()
                there = socket.socket(socket.AF_UNIX)
                there.connect(docker_url().removeprefix("unix://"))
                self._sockets += [here, there]
                for one, other in ((here, there), (there, here)):
                    threading.Thread(target=_copy, args=(one, other), daemon=True).start()


def _copy(one: socket.socket, other: socket.socket) -> None:
    with suppress(OSError):
        while data := one.recv(65536):
            other.sendall(data)
        other.shutdown(socket.SHUT_WR)

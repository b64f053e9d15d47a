"""The Docker engine's interface, the only file that knows the docker package.

Each call has a client of its own, and with it a connection: the package's clients are not made for threads.
"""

import socket
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from ipaddress import IPv4Network, ip_network
from typing import Any

import urllib3
from docker.api import APIClient
from docker.errors import APIError, DockerException
from docker.types import IPAMConfig, IPAMPool

from stagemaker.runtime.docker.frames import Frames
from stagemaker.runtime.docker.subnets import gateway
from stagemaker.runtime.docker.terminal import Terminal

DEFAULT_URL = "unix:///var/run/docker.sock"
_QUICK_S = 20  # looking up, attaching, and signals
_ANSWER_S = 60  # creating and removing take seconds on a busy machine
_DOUBT_S = 2  # for one that gave no answer last time: what waits for it must end soon
_PULL_S = 600  # between two messages: a layer of gigabytes is unpacked in silence
_NEWEST_API = (1, 45)  # what this file was written for; later engines speak it too


class EngineError(Exception):
    """The engine's refusal, in its words; `status` is HTTP's."""

    def __init__(self, message: str, status: int) -> None:
        super().__init__(message.strip().rstrip("."))
        self.status = status


class EngineGone(EngineError):
    """The engine gave no answer, or none in time."""

    def __init__(self, message: object) -> None:
        super().__init__(f"the Docker engine does not answer ({message})", 0)


class Engine:
    """Thread-safe. Every method raises EngineError; the constructor EngineGone when no engine answers at `url`."""

    def __init__(self, url: str = DEFAULT_URL) -> None:
        self.url = url
        self._version = "1.24"
        self._doubted = False
        with self._client() as client:
            newest = client.version(api_version=False)["ApiVersion"]
        major, minor = newest.split(".")
        self.api = min((int(major), int(minor)), _NEWEST_API)
        self._version = f"{self.api[0]}.{self.api[1]}"

    def info(self) -> dict[str, Any]:
        """What the machine has."""
        with self._client() as client:
            return dict(client.info())

    def has_image(self, image: str) -> bool:
        """Whether it is in the engine's own store."""
        try:
            with self._client() as client:
                client.inspect_image(image)  # type: ignore[no-untyped-call]
        except EngineError as error:
            if error.status != 404:
                raise
            return False
        return True

    def inspect_image(self, image: str) -> dict[str, Any]:
        """The engine's record of it. Status 404: there is none."""
        with self._client() as client:
            return dict(client.inspect_image(image))  # type: ignore[no-untyped-call]

    def pull(self, reference: str, user: str, password: str) -> None:
        """Fetch an image by its digest."""
        login = {"username": user, "password": password}
        with self._client(_PULL_S) as client:
            messages = client.pull(reference, stream=True, decode=True, auth_config=login)
            errors = [message["error"] for message in messages if "error" in message]
        if errors:
            raise EngineError(errors[0], 500)

    def create(self, name: str, config: Mapping[str, Any]) -> str:
        """A container that does not run yet; its id. `config` is the body of the engine's ContainerCreate."""
        with self._client() as client:
            made = client.create_container_from_config(dict(config), name)  # type: ignore[no-untyped-call]
            return str(made["Id"])

    def attach(self, container: str) -> Frames:
        """What it will write, from its first byte on when it was not started yet."""
        return Frames(self._attach(container, {"stdout": 1, "stderr": 1, "stream": 1}))

    def converse(self, container: str) -> Terminal:
        """As `attach`, for one with a terminal, which was not started yet."""
        return Terminal(self._attach(container, {"stdin": 1, "stdout": 1, "stderr": 1, "stream": 1}))

    def stats(self, container: str) -> dict[str, Any]:
        """What it uses now."""
        with self._client(_QUICK_S) as client:
            return dict(client.stats(container, stream=False, one_shot=True))

    def start(self, container: str) -> None:
        """Start it. Status 400: the image has no such program, or it cannot be executed."""
        with self._client() as client:
            client.start(container)

    def inspect(self, container: str) -> dict[str, Any]:
        """The engine's record of it."""
        with self._client(_QUICK_S) as client:
            return dict(client.inspect_container(container))

    def wait(self, container: str, timeout_s: int) -> int:
        """Its exit code, when it has ended. EngineGone when it has not within `timeout_s`."""
        with self._any_client(_ANSWER_S) as client:  # no answer is no sign of trouble here
            return int(client.wait(container, timeout=timeout_s)["StatusCode"])

    def kill(self, container: str, signal: str) -> None:
        """Send a signal to its first process; SIGKILL ends all of them. Status 404 or 409: it has ended."""
        with self._client(_QUICK_S) as client:
            client.kill(container, signal)

    def remove(self, container: str) -> None:
        """Kill it if it runs, and remove it with its anonymous volumes. One that is gone is not an error."""
        with suppress_missing(), self._client() as client:
            client.remove_container(container, v=True, force=True)

    def containers(self, label: str) -> list[dict[str, Any]]:
        """The containers with this label, running or not."""
        with self._client() as client:
            return list(client.containers(all=True, filters={"label": label}))

    def networks(self, label: str) -> list[dict[str, Any]]:
        """The networks with this label."""
        with self._client() as client:
            return list(client.networks(filters={"label": label}))

    def inspect_network(self, network: str) -> dict[str, Any]:
        """The engine's record of it."""
        with self._client() as client:
            return dict(client.inspect_network(network))

    def subnets(self) -> list[IPv4Network]:
        """Of all networks that the engine has, whoever made them."""
        with self._client() as client:
            pools = [pool for network in client.networks() for pool in network["IPAM"]["Config"] or ()]
        found = [ip_network(pool["Subnet"]) for pool in pools if "Subnet" in pool]
        return [subnet for subnet in found if isinstance(subnet, IPv4Network)]

    def create_network(
        self, name: str, labels: Mapping[str, str], subnet: IPv4Network | None = None, *, internal: bool = False
    ) -> None:
        """A bridge; without `subnet` the engine chooses one, `internal` leads nowhere. Status 409: there is one of that
        name; 403: the subnet is another network's."""
        pools = [IPAMPool(str(subnet), gateway=str(gateway(subnet)))] if subnet else []
        ipam = IPAMConfig(pool_configs=pools) if pools else None
        with self._client() as client:
            client.create_network(name, driver="bridge", labels=dict(labels), ipam=ipam, internal=internal)

    def connect(
        self, network: str, container: str, aliases: list[str], address: str = "", link_local: Sequence[str] = ()
    ) -> None:
        """Put a container on one more network, where it is found by these names and has these addresses."""
        with self._client() as client:
            client.connect_container_to_network(
                container, network, aliases=aliases, ipv4_address=address or None, link_local_ips=list(link_local)
            )

    def remove_network(self, network: str, *, disconnect: bool) -> None:
        """Remove it, after all containers left it where `disconnect`. One that is gone is not an error."""
        with suppress_missing():
            for container in self.inspect_network(network)["Containers"] if disconnect else ():
                with suppress_missing(), self._client() as client:
                    client.disconnect_container_from_network(container, network, force=True)
            with self._client() as client:
                client.remove_network(network)

    def _attach(self, container: str, streams: Mapping[str, int]) -> socket.socket:
        with self._client(_QUICK_S) as client:
            upgraded = client.attach_socket(container, streams)
            with closing(upgraded._response):
                connection: socket.socket = upgraded._sock.dup()  # which does not end with the client
        connection.settimeout(None)
        return connection

    @contextmanager
    def _client(self, timeout_s: int = _ANSWER_S) -> Iterator[APIClient]:
        try:
            with self._any_client(min(timeout_s, _DOUBT_S) if self._doubted else timeout_s) as client:
                yield client
            self._doubted = False
        except EngineError as error:
            self._doubted = isinstance(error, EngineGone)
            raise

    @contextmanager
    def _any_client(self, timeout_s: int) -> Iterator[APIClient]:
        with _our_errors(), closing(self._new_client(timeout_s)) as client:
            yield client

    def _new_client(self, timeout_s: int) -> APIClient:
        return _Client(base_url=self.url, version=self._version, timeout=timeout_s)


class _Client(APIClient):
    def post(self, *arguments: Any, **options: Any) -> Any:
        """With the client's timeout, which the package forgets when it attaches."""
        return super().post(*arguments, **{"timeout": self.timeout, **options})


@contextmanager
def suppress_missing() -> Iterator[None]:
    """What is to be removed is gone, or on its way out."""
    try:
        yield
    except EngineError as error:
        if error.status not in (404, 409):
            raise


@contextmanager
def _our_errors() -> Iterator[None]:
    try:
        yield
    except APIError as error:
        raise EngineError(str(error.explanation or error), error.status_code or 500) from error
    except (DockerException, OSError, urllib3.exceptions.HTTPError) as error:
        first: BaseException = error
        while first.__context__:  # the packages wrap each other's errors
            first = first.__context__
        raise EngineGone(first) from error

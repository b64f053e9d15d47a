"""Runs images as containers of the Docker engine, beside LocalStack's own container or LocalStack's own process."""

import hashlib
import logging
import threading
import uuid
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from stagemaker.core.errors import ApiError, hinted, shutting_down
from stagemaker.core.supervisor import Supervisor
from stagemaker.runtime.contract import BIND_LABEL, ContainerSpec, HardwareRefused, ImageRefused, Registry
from stagemaker.runtime.docker.config import PORT, container_config, engine_name
from stagemaker.runtime.docker.container import DockerContainer
from stagemaker.runtime.docker.ec2_config import ec2_config
from stagemaker.runtime.docker.ec2_host import DockerEc2Host
from stagemaker.runtime.docker.engine import DEFAULT_URL, Engine, EngineError, EngineGone
from stagemaker.runtime.docker.function import function_config
from stagemaker.runtime.docker.hardware import Gpus, gpus, lacks_gpu, limits, machine
from stagemaker.runtime.docker.image_resolver import ImageResolver
from stagemaker.runtime.docker.mounts import OwnContainer, Unreachable, identity, mount, own_container
from stagemaker.runtime.docker.networks import STATE_LABEL, Networks, Seat
from stagemaker.runtime.docker.places import Place, Places
from stagemaker.runtime.docker.relay import relay_config
from stagemaker.runtime.images import lacks_label
from stagemaker.runtime.ports import LOOPBACK
from stagemaker.runtime.variables import replaced, without_role
from stagemaker.settings import DockerSettings

LOG = logging.getLogger(__name__)
_CLOSE_S = 60  # for a start that is in progress


class DockerRuntime:
    """Runs containers, also those of Lambda functions. `work_dir` is the state that it shares with its earlier
    instances: two at once over one would kill each other's. RuntimeError, with a sentence that says what to do, when it
    cannot work here."""

    def __init__(
        self,
        settings: DockerSettings,
        work_dir: Path,
        registry: Registry | None,
        supervisor: Supervisor,
        engine_url: str = DEFAULT_URL,
    ) -> None:
        self._settings, self._supervisor = settings, supervisor
        self._engine = _reach(engine_url)
        try:
            self._own = _own(self._engine, settings.network)
            state = hashlib.sha256(identity(self._own, work_dir.resolve()).encode()).hexdigest()[:8]
            self._machine = machine(self._engine.info())
        except (EngineError, Unreachable) as error:
            raise RuntimeError(f"The Docker runtime cannot work here: {error}.") from error
        self._state_label = f"{STATE_LABEL}={state}"
        self._labels = {
            "com.stagemaker": "1",
            STATE_LABEL: state,
            "com.stagemaker.network": settings.network,  # by which people find what a stack has started
        }
        self._images = ImageResolver(self._engine, registry)
        self._networks = Networks(
            self._engine, settings.network, self._labels, self._own, settings.network_pool, supervisor
        )
        self._places = Places(self._networks)
        self._changed = threading.Condition()
        self._running: dict[
            str, DockerContainer | DockerEc2Host | None
        ] = {}  # by the engine's name; None: it is being started
        self._closed = False
        self._left_behind = False  # something could not be removed: the engine was gone
        supervisor.follow("the first network", self._prepare)

    def check_image(
        self,
        image: str,
        entrypoint: tuple[str, ...] | None = None,  # noqa: ARG002 - what an image holds shows when it starts
        command: tuple[str, ...] = (),  # noqa: ARG002
    ) -> None:
        """Refuse an image that neither our registry nor the engine has. ApiError 500 when the engine is silent."""
        with self._engine_errors(f"look up the image {image!r}"):
            self._images.check(image)

    def pin(self, image: str) -> str:
        """Its name with the digest of its manifest, for an image of our registry, or else the engine's id of it."""
        with self._engine_errors(f"look up the image {image!r}"):
            return self._images.pin(image)

    def check_mounts(self, targets: Iterable[str]) -> None:
        """Any folder of a container can be one of ours."""

    def check_hardware(self, instance_type: str, hosts: int) -> None:  # noqa: ARG002 - any number of hosts is one engine's
        """Refuse a type with a GPU where one is required and the engine offers none."""
        if refusal := lacks_gpu(instance_type, self._settings.gpu, self._machine):
            raise HardwareRefused(refusal)

    def check_isolation(self) -> None:
        """Any container can be isolated."""

    def check_shared_instance(self, images: Iterable[str]) -> None:
        """Refuse images without the label. One that the engine does not have is pulled, since its labels are in it."""
        for image in images:
            with self._engine_errors(f"look up the labels of {image!r}"):
                config = self._engine.inspect_image(self._images.obtain(image))["Config"] or {}
            labels = config.get("Labels") or {}
            if labels.get(BIND_LABEL) != "true":
                raise ImageRefused(lacks_label(image, BIND_LABEL))

    def start(self, spec: ContainerSpec, on_line: Callable[[str], None]) -> DockerContainer:
        """Start a container; at once, except when the image must be pulled first."""
        with self._engine_errors(f"start {spec.image!r}"):
            if self._left_behind:
                self.sweep()
            self.check_hardware(spec.instance_type, 1)
            image = self._images.obtain(spec.pinned or spec.image)
            with ExitStack() as undo:
                cleanup = undo.enter_context(ExitStack())
                container = self._start(spec, image, on_line, cleanup)
                undo.pop_all()
            return container

    def create_ec2_host(self, spec: ContainerSpec, addresses: Mapping[str, str]) -> DockerEc2Host:
        """A host that has not booted yet."""
        with self._engine_errors(f"make a host of {spec.image!r}"), ExitStack() as undo:
            if self._left_behind:
                self.sweep()
            self.check_hardware(spec.instance_type, 1)
            image = self._images.obtain(spec.image)
            cleanup = undo.enter_context(ExitStack())
            name, place = self._take_place(spec, cleanup)
            hardware = gpus(spec.instance_type, self._settings.gpu, self._machine)
            config = ec2_config(self._config(spec, image, place, hardware), addresses)
            engine_id = self._engine.create(name, config)
            cleanup.callback(self._removing, self._engine.remove, engine_id)
            host = DockerEc2Host(
                spec, self._engine, engine_id,
                hardware=hardware.text, remove=cleanup.close, supervisor=self._supervisor,
            )  # fmt: skip
            with self._changed:
                self._refuse_when_closed()
                self._running[name] = host
            undo.pop_all()
        return host

    def fetch(self, image: str) -> None:
        """Pull the image unless the engine has it, so that `start` is quick."""
        with self._engine_errors(f"get the image {image!r}"):
            self._images.obtain(image)

    def host(self) -> str:
        """The address at which this process listens for containers."""
        with self._engine_errors(f"use the network {self._settings.network!r}"):
            return self._networks.host()

    def host_name(self) -> str:
        """The name or address by which containers call it."""
        with self._engine_errors(f"use the network {self._settings.network!r}"):
            return self._networks.host_name()

    def spare_networks(self) -> list[str]:
        """The names of the networks that are ready for the next job."""
        return self._networks.spare()

    def sweep(self) -> int:
        """Remove the containers and networks of earlier instances, and what this one could not remove; how many
        containers. What the engine does not remove now is left for the next sweep."""
        self._left_behind = False
        there: list[dict[str, Any]] = []
        self._removing(lambda: there.extend(self._engine.containers(self._state_label)))
        with self._changed:  # after the list, which so has nothing that was started later
            running = {f"/{name}" for name in self._running}
        found = [container["Id"] for container in there if running.isdisjoint(container["Names"] or ())]
        removed = [self._removing(self._engine.remove, container) for container in found]
        self._removing(self._networks.sweep, self._state_label)
        return sum(removed)

    def close(self) -> None:
        """Kill every container, wait for what is being started, and remove the networks."""
        with self._changed:
            self._closed = True
            running = [container for container in self._running.values() if container]
        with ThreadPoolExecutor(8) as pool:
            list(pool.map(lambda each: each.kill(), running))
        with self._changed:
            self._changed.wait_for(lambda: not self._running, _CLOSE_S)
        if self._left_behind:
            self.sweep()
        self._removing(self._networks.close, self._state_label)

    def _prepare(self) -> None:
        try:
            self._networks.prepare()
        except (EngineError, ApiError) as error:
            LOG.info("the first job makes its own network: %s", error)

    def _take_place(self, spec: ContainerSpec, cleanup: ExitStack) -> tuple[str, Place]:
        """The name and the place of a new container; `cleanup` gives both up."""
        name = engine_name(spec.name, uuid.uuid4().hex[:8])
        with self._changed:
            self._refuse_when_closed()
            self._running[name] = None
        cleanup.callback(self._forget, name)
        place = self._places.take(spec)
        cleanup.callback(self._removing, self._places.leave, place)
        return name, place

    def _start(
        self, spec: ContainerSpec, image: str, on_line: Callable[[str], None], cleanup: ExitStack
    ) -> DockerContainer:
        """`cleanup` takes what is to be undone when this fails or when the container has ended."""
        name, place = self._take_place(spec, cleanup)
        spec, taken = self._with_credentials(spec, place.seat, cleanup)
        hardware = gpus(spec.instance_type, self._settings.gpu, self._machine)
        engine_id = self._engine.create(name, self._config(spec, image, place, hardware))
        cleanup.callback(self._removing, self._engine.remove, engine_id)
        output = self._engine.converse(engine_id) if spec.function else self._engine.attach(engine_id)
        cleanup.callback(output.close)
        self._run(spec, engine_id)
        ip = place.started(engine_id, self._ip(engine_id) if spec.serves or spec.function else "")
        address = (ip or name, place.port) if spec.serves else None
        if self._own and spec.isolated and address:
            address = self._relay(self._own, address, place.seat, cleanup)
        notes = (*spec.notes, *taken, *replaced(spec.environment, _own_variables(spec, place)))
        with self._changed:
            self._refuse_when_closed()
            container = self._running[name] = DockerContainer(
                spec, self._engine, engine_id, ip=ip, address=address, hardware=hardware.text, notes=notes,
                published=self._published(engine_id) if spec.published else None,
                output=output, on_line=on_line, on_end=cleanup.close, supervisor=self._supervisor,
            )  # fmt: skip
        return container

    def _relay(self, own: OwnContainer, server: tuple[str, int], seat: Seat, cleanup: ExitStack) -> tuple[str, int]:
        """Where our container reaches a server on an isolated network."""
        name, network = engine_name("relay", uuid.uuid4().hex[:8]), self._settings.network
        with self._changed:
            self._running[name] = None  # no sweep ends it
        cleanup.callback(self._forget, name)
        stage = self._engine.inspect(own.id)["NetworkSettings"]["Networks"][network]["IPAddress"]
        relay = self._engine.create(name, relay_config(own.image, network, stage, server, self._labels))
        cleanup.callback(self._removing, self._engine.remove, relay)
        self._engine.connect(seat.network, relay, [])
        self._engine.start(relay)
        return self._engine.inspect(relay)["NetworkSettings"]["Networks"][network]["IPAddress"] or name, server[1]

    def _with_credentials(
        self, spec: ContainerSpec, seat: Seat, cleanup: ExitStack
    ) -> tuple[ContainerSpec, tuple[str, ...]]:
        """The spec with the address of the endpoint that gives out the role's credentials in place of these, where
        there is one, and what of the caller's variables that takes away."""
        if spec.credentials is None:
            return spec, ()
        path = seat.credentials(spec.credentials)
        if path is not None:
            cleanup.callback(seat.forget, path)
        elif not spec.isolated:
            return spec, ()
        environment, notes = without_role(spec.environment, path)
        return replace(spec, environment=environment), notes

    def _config(self, spec: ContainerSpec, image: str, place: Place, hardware: Gpus) -> dict[str, Any]:
        for each in spec.mounts:
            if not each.folder.exists():
                raise EngineError(f"the folder for {each.target} does not exist", 500)
        config = container_config(
            spec,
            image=image,
            labels=self._labels,
            network=place.network,
            link_local=place.seat.link_local,
            mounts=[
                mount(self._own, self._engine.api, each.folder.resolve(), each.target, read_only=not each.writable)
                for each in spec.mounts
            ],
            limits=limits(spec.instance_type, self._settings.limits, spec.memory_mb, self._machine, cpus=spec.cpus),
            gpus=hardware,
            machine_memory_bytes=self._machine.memory_bytes,
            own_variables=_own_variables(spec, place),
        )
        return function_config(config, self._engine.inspect_image(image)) if spec.function else config

    def _run(self, spec: ContainerSpec, engine_id: str) -> None:
        try:
            self._engine.start(engine_id)
        except EngineError as error:
            if error.status != 400:
                raise
            program = " ".join((*(spec.entrypoint or ()), *spec.command))
            advice = (
                "put a program of that name on its PATH, executable and for this machine's processor, or give another "
                "entry point."
            )
            sentence = f"The image {spec.image!r} cannot run {program!r} (Docker says: {error})."
            raise ImageRefused(hinted(sentence, advice)) from error

    def _ip(self, engine_id: str) -> str:
        """Empty when it has ended already."""
        networks = self._engine.inspect(engine_id)["NetworkSettings"]["Networks"]
        return "".join(network["IPAddress"] for network in networks.values())

    def _published(self, engine_id: str) -> tuple[str, int] | None:
        """None when it has ended already."""
        bound = self._engine.inspect(engine_id)["NetworkSettings"]["Ports"].get(f"{PORT}/tcp")
        return (LOOPBACK, int(bound[0]["HostPort"])) if bound else None

    def _refuse_when_closed(self) -> None:
        if self._closed or self._supervisor.closing:
            raise shutting_down()

    def _forget(self, name: str) -> None:
        with self._changed:
            del self._running[name]
            self._changed.notify_all()

    def _removing(self, remove: Callable[..., None], *arguments: Any) -> bool:
        """Whether it was removed; else it is at the next start or sweep."""
        try:
            remove(*arguments)
        except EngineError as error:
            self._left_behind = True
            LOG.warning("something of a container is left for later: %s", error)
            return False
        return True

    @contextmanager
    def _engine_errors(self, doing: str) -> Iterator[None]:
        """Raise what the engine fails with as AWS's InternalFailure (500)."""
        try:
            yield
        except EngineGone as error:
            self._left_behind = True  # perhaps it did what it was asked, and did not say so
            raise ApiError(
                "InternalFailure", hinted(f"Docker cannot {doing}: {error}.", "start Docker."), 500
            ) from error
        except (EngineError, Unreachable, RuntimeError) as error:
            raise ApiError("InternalFailure", f"Docker cannot {doing}: {error}.", 500) from error


def _own_variables(spec: ContainerSpec, place: Place) -> dict[str, str]:
    return place.variables if spec.serves else {}


def _reach(url: str) -> Engine:
    try:
        return Engine(url)
    except EngineError as error:
        raise RuntimeError(
            f"No Docker engine answers at {url}: start Docker, mount its socket into LocalStack's container "
            "(-v /var/run/docker.sock:/var/run/docker.sock), or set STAGEMAKER_RUNTIME=process to do without "
            f"({error})."
        ) from error


def _own(engine: Engine, network: str) -> OwnContainer | None:
    """None on the engine's machine, and in a container that the engine does not know: it shares our files then."""
    found = own_container(Path("/proc/self/mountinfo").read_text())
    if found is None:
        return None
    try:
        record = engine.inspect(found)
    except EngineError as error:
        if error.status != 404:
            raise
        return None
    networks = record["NetworkSettings"]["Networks"]
    if network not in networks:
        raise Unreachable(
            f"LocalStack's container is not on the network {network!r}, on which it starts others: run "
            f"`docker network connect {network} {found[:12]}` and start it again, or set STAGEMAKER_NETWORK to its own"
        )
    aliases = tuple(networks[network]["Aliases"] or ())
    return OwnContainer(found, tuple(record["Mounts"]), aliases, record["Image"])

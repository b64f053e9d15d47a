"""One instance of an endpoint: its containers through start, health checks, unwanted ends, replacement and stop."""

import logging
import shutil
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from http import HTTPStatus
from http.client import HTTPException

from stagemaker.core.disk import explain
from stagemaker.core.errors import ApiError
from stagemaker.hosting.context import FleetContext
from stagemaker.hosting.health import Observed, Ping, Verdict, judge
from stagemaker.hosting.http_client import HttpClient, Refused
from stagemaker.hosting.layout import InstanceLayout
from stagemaker.hosting.model_cache import ModelCache
from stagemaker.hosting.passage import ContainerClient
from stagemaker.runtime.contract import Container, ContainerSpec, Exit, Usage
from stagemaker.runtime.hardware import HardwareLog

LOG = logging.getLogger(__name__)
STARTING_POLL_S, SERVING_POLL_S, DRAIN_POLL_S = 0.1, 0.2, 0.05
GRACE_S = 30.0  # AWS's: SIGKILL follows SIGTERM after it
CLOSE_GRACE_S = 5.0  # (ours) at the end of LocalStack, which somebody waits for
REPLACED_GRACE_S = 1.0  # (ours) for a container that does not answer any more
MAX_RESTARTS = 3  # (ours) of a container that was healthy once; more only after it has served for STEADY_S
STEADY_S = 300.0  # (ours)
START_AGAIN_S = 2  # (ours) after a start that the machine could not do
MAX_PING_BYTES = 64 << 10
MAX_LIST_BYTES = 8 << 20  # (ours) of a page of the models of a multi-model endpoint


class Lease:
    """The place of one request on an instance. Leave it as a context manager."""

    def __init__(
        self,
        instance_id: str,
        containers: Sequence[ContainerClient],
        leave: "Callable[[Lease], object]",
        request_s: float = 60.0,
    ) -> None:
        self.id, self.containers = instance_id, containers
        self.others = False  # whether another instance could have been taken instead
        self.target_model = ""  # of a multi-model endpoint
        self.models: ModelCache | None = None  # of the instance of one
        self.due_s: float | None = None  # by time.monotonic: when the answer must be there, once the request is sent
        self._leave, self._request_s = leave, request_s

    @property
    def client(self) -> HttpClient:
        """Of the container, or the first of several."""
        return self.containers[0].client

    def containers_for(self, target_container: str) -> Sequence[ContainerClient]:
        """Those that a request goes through: the one that it names, or all."""
        return [each for each in self.containers if each.name == target_container] or self.containers

    def sent(self, longer_s: float = 0.0) -> None:
        """The request is being sent: from now on the instance may be busy with it, for as long as requests usually may
        take, or so much longer."""
        self.due_s = time.monotonic() + self._request_s + longer_s

    def leave(self) -> None:
        """Free the place. A second call does nothing."""
        self._leave(self)

    def __enter__(self) -> "Lease":
        return self

    def __exit__(self, *_: object) -> None:
        self.leave()


class Instance:
    """Keeps one container alive, or several, which start, serve and end together: it is healthy when all are, and when
    one ends the others are stopped. A thread of its own calls `run`; all else may be called from any thread.

    Before it was healthy once, the end of a container loses the instance at once: a model that cannot load should say
    so in seconds. Later its containers are started again, after 1, 2 and 4 seconds, and take requests again when /ping
    answers 200; a container that must be replaced counts as one, and a start that the machine cannot do does not. An
    instance that is `lost` stays so; `lost` is the reason, one sentence, and `culprit` the container that it is about.
    `logs` are those of its containers, in their order. `changed` is called after each change that its fleet may wait
    for.
    """

    def __init__(
        self,
        layout: InstanceLayout,
        context: FleetContext,
        run_as_role: Callable[[ContainerSpec], ContainerSpec],
        logs: Sequence[Callable[[str], None]],
        changed: Callable[[], None],
        models: ModelCache | None = None,
    ) -> None:
        self.id, self.layout, self._models = layout.id, layout, models
        self.lost: str | None = None
        self.culprit = layout.containers[0].name
        self.hardware = ""  # of its container, as the runtime words it
        self.ended = threading.Event()  # nothing of it is left
        self._context, self._run_as_role, self._logs, self._changed = context, run_as_role, logs, changed
        self._runtime, self._elapsed, self._times = context.runtime, context.elapsed, context.times
        self._lock = threading.Lock()
        self._leases: set[Lease] = set()
        self._retired, self._hurried = threading.Event(), threading.Event()
        self._containers: Mapping[str, Container] = {}  # by name; empty while none runs
        self._clients: Sequence[ContainerClient] = ()  # while its containers are healthy
        self._served = False  # these containers were healthy once
        self._is_multi_model = models is not None  # unless its container says that it is not
        self._resting = False  # it is late: no new requests
        self._late_answers = 0
        self._next_ping_s = 0.0  # by time.monotonic
        self._max_restarts = 0 if layout.one_request else MAX_RESTARTS
        self._restarts = self._max_restarts  # so that the first start has none left
        self._due = 0.0  # while there is a container that is not healthy: when it must be; while there is none: restart
        self._healthy_since = 0.0
        self._left_s = 0.0  # when it came into service, or was left by its last request
        self._unable_since_s: float | None = None  # the machine has failed to start its container since then

    @property
    def in_service(self) -> bool:
        """Whether it takes requests."""
        return bool(self._serving_clients())

    @property
    def has_served(self) -> bool:
        """Whether it was healthy once."""
        return self._healthy_since > 0

    @property
    def outstanding(self) -> int:
        """How many requests it has that are not answered yet."""
        return len(self._leases)

    @property
    def idle_s(self) -> float | None:
        """How long it has had no request; None while it has one, or takes none."""
        with self._lock:
            return None if self._leases or not self.in_service else self._elapsed() - self._left_s

    def usage(self) -> dict[str, Usage]:
        """What each of its containers uses now; nothing while it is not in service, or where that cannot be told."""
        used = {name: container.usage() for name, container in self._containers.items()} if self.in_service else {}
        told = {name: each for name, each in used.items() if each}
        return told if len(told) == len(used) else {}

    def holds(self, target_model: str) -> bool:
        """Whether it has loaded the model, or a request that it has is for it."""
        with self._lock:
            asked = any(lease.target_model == target_model for lease in self._leases)
        return asked or (self._models is not None and self._models.holds(target_model))

    def take(self) -> Lease | None:
        """A place for one request; None when it is not in service."""
        with self._lock:
            clients = self._serving_clients()
            if not clients:
                return None
            lease = Lease(self.id, clients, self._release, self._times.request_s)
            lease.models = self._models
            self._leases.add(lease)
            return lease

    def retire(self, *, drain: bool) -> None:
        """Take no new requests and end: with `drain` after the answers to those that it has, but not later than they
        may take. A second call may only hurry it."""
        with self._lock:
            self._retired.set()
        if not drain:
            self._hurried.set()

    def run(self) -> None:
        """Keep a container alive until `retire`, or until the instance is lost. When this returns nothing of it is
        left, its folder included."""
        try:
            self._start()
            while self.lost is None and not self._retired.is_set():
                self._check()
                serving_poll_s = min(SERVING_POLL_S, self._times.ping_every_s)
                self._retired.wait(serving_poll_s if self._clients else STARTING_POLL_S)
            self._drain()
        except Exception as error:
            LOG.exception("instance %s", self.id)
            self.lost = f"{type(error).__name__}: {explain(error)}"
        finally:
            self._stop(CLOSE_GRACE_S if self._context.supervisor.closing else GRACE_S)
            if self._models:
                self._models.end()
            shutil.rmtree(self.layout.base_dir, ignore_errors=True)
            self.ended.set()
            self._changed()

    def _release(self, lease: Lease) -> None:
        with self._lock:
            self._leases.discard(lease)
            self._left_s = self._elapsed()

    def _serving_clients(self) -> Sequence[ContainerClient]:
        """None where it takes no requests."""
        containers = self._containers
        if self._resting or self._retired.is_set() or not all(each.running for each in containers.values()):
            return ()
        return self._clients

    def _start(self) -> None:
        """Start the containers; whether they are healthy is for `_check` to find. A refusal makes the instance lost."""
        try:
            for planned, sink in zip(self.layout.containers, self._logs, strict=True):
                self.culprit = planned.name
                log = HardwareLog(self.id, sink)
                container = self._runtime.start(self._run_as_role(planned.spec), log.line)
                self._containers = {**self._containers, planned.name: container}
                log.begin(container.hardware, container.notes)
                self.hardware = container.hardware
        except ApiError as error:
            self._stop(0)
            why = f"it could not be started: {error.message.rstrip('.')}"
            if self.has_served and error.status >= HTTPStatus.INTERNAL_SERVER_ERROR:
                self._start_again_later(why)
            else:
                self._restart_later(why, refused=error.status < HTTPStatus.INTERNAL_SERVER_ERROR)
            return
        self._unable_since_s, self._served = None, False
        self._due = self._elapsed() + self.layout.health_timeout_s

    def _check(self) -> None:
        """Notice what has happened since the last check, and act on it. Takes as long as the pings at most."""
        if not self._containers:
            if self._elapsed() >= self._due:
                self._start()
            return
        for name, container in self._containers.items():
            if (end := container.poll()) is not None:
                self._has_ended(name, end)
                return
        if not all(container.running for container in self._containers.values()):
            self._leave_service()  # what asks there may reach another's container
            self._due = self._elapsed() + self.layout.health_timeout_s
        elif not self._clients:
            self._await_health()
        elif time.monotonic() >= self._next_ping_s and not (self.layout.one_request and self._leases):
            self._check_health()  # but not while it has its one request, which its time limit ends

    def _await_health(self) -> None:
        """Come into service when each /ping answers for the first time."""
        if self._ping() is Ping.ANSWERED:
            self._restarts = self._restarts if self.has_served else 0
            self._left_s = self._elapsed()
            self._late_answers, self._resting = 0, False
            if self._models:
                self._models.serve(*self._containers.values())
            addresses = {name: container.address for name, container in self._containers.items()}
            self._served = True
            self._clients = [ContainerClient(name, HttpClient(at)) for name, at in addresses.items() if at]
            self._healthy_since = self._elapsed()  # from here on whoever looks sees that it has started
            self._changed()
        elif self._models and not self._is_multi_model:
            self._stop(0)
            self._lose("GET /models answered 404, as no container for several models does")
        elif self._elapsed() >= self._due:
            self._stop(0)
            self._lose(f"it did not answer GET /ping with 200 within {self.layout.health_timeout_s} s")

    def _check_health(self) -> None:
        """Ask whether it still serves, and do what the answer calls for."""
        ping = self._ping()
        self._late_answers = 0 if ping is Ping.ANSWERED else self._late_answers + 1
        verdict = judge(Observed(ping, self._late_answers, self._busy_s()), self._times)
        was_resting, self._resting = self._resting, verdict is not Verdict.SERVE
        if was_resting and not self._resting:
            self._changed()
        if verdict is not Verdict.REPLACE:
            return
        if ping is Ping.REFUSED and (end := self._containers[self.culprit].wait(REPLACED_GRACE_S)):
            self._has_ended(self.culprit, end)  # most probably it was just ending
            return
        self._stop(REPLACED_GRACE_S)
        self._forgive_restarts()
        late = f"it did not answer GET /ping with 200 in time {self._late_answers} times in a row"
        self._restart_later("its server refuses connections" if ping is Ping.REFUSED else late)

    def _ping(self) -> Ping:
        """What GET /ping came to at the first container that did not answer it, which is the culprit."""
        self._next_ping_s = time.monotonic() + self._times.ping_every_s
        for name, container in self._containers.items():
            ping = self._ping_container(container)
            if ping is not Ping.ANSWERED:
                self.culprit = name
                return ping
        return Ping.ANSWERED

    def _ping_container(self, container: Container) -> Ping:
        """Over a new connection, which is part of what is asked for. GET /models of several models must answer too."""
        if container.address is None:
            return Ping.LATE
        client = HttpClient(container.address)
        try:
            healthy = self._answers(client, "/ping", MAX_PING_BYTES) == HTTPStatus.OK
            if healthy and self._models:
                listed = self._answers(client, "/models", MAX_LIST_BYTES)
                healthy, self._is_multi_model = listed == HTTPStatus.OK, listed != HTTPStatus.NOT_FOUND
                self._models.report()
        except Refused:
            return Ping.REFUSED
        except (OSError, HTTPException, ValueError):
            return Ping.LATE
        finally:
            client.close()
        return Ping.ANSWERED if healthy else Ping.LATE

    def _answers(self, client: HttpClient, path: str, max_bytes: int) -> int:
        """The status of the answer to a GET."""
        return client.request("GET", path, timeout_s=self._times.answer_s, max_bytes=max_bytes).status

    def _busy_s(self) -> float:
        """How much longer it may be busy with a request that it has, or with loading a model."""
        with self._lock:
            dues_s = [lease.due_s for lease in self._leases if lease.due_s is not None]
        if self._models:
            dues_s.append(self._models.loading_until_s)
        return max(dues_s, default=0.0) - time.monotonic() if dues_s else 0.0

    def _has_ended(self, name: str, end: Exit) -> None:
        """One container has: the others are stopped."""
        self.culprit = name
        which = "its container" if len(self._containers) == 1 else f"its container {name}"
        ended = f"{which} ended with exit code {end.code}" + (
            f" ({reason})" if (reason := end.reason.rstrip(".")) else ""
        )
        self._stop(REPLACED_GRACE_S)
        self._forgive_restarts()
        self._restart_later(ended if self.has_served else f"{ended} before it was healthy")

    def _forgive_restarts(self) -> None:
        """Count them anew when the container served for long."""
        if self._served and self._elapsed() - self._healthy_since >= STEADY_S:
            self._restarts = 0

    def _restart_later(self, why: str, *, refused: bool = False) -> None:
        """Unless it was `refused`, or no restart is left: then the instance is lost."""
        if refused or self._restarts >= self._max_restarts:
            restarted = self.has_served and not refused and self._max_restarts
            self._lose(f"{why} and was restarted {self._max_restarts} times before" if restarted else why)
            return
        delay_s = 2**self._restarts
        self._restarts += 1
        self._due = self._elapsed() + delay_s
        self._say(f"{why}; restart {self._restarts} of {self._max_restarts} in {delay_s} s.")

    def _start_again_later(self, why: str) -> None:
        """The machine is at fault, which uses up no restart: the engine may be back soon. The instance is lost when it
        is so for as long as a container may take to be healthy."""
        now_s = self._elapsed()
        if self._unable_since_s is None:
            self._unable_since_s = now_s
        unable_s = now_s - self._unable_since_s
        if unable_s >= self.layout.health_timeout_s:
            self._lose(f"{why}, for {unable_s:.0f} s")
            return
        self._due = now_s + START_AGAIN_S
        self._say(f"{why}; tried again in {START_AGAIN_S} s.")

    def _lose(self, why: str) -> None:
        self.lost = why
        self._changed()

    def _say(self, line: str) -> None:
        """In the log of each container."""
        for log in self._logs:
            log(f"Stagemaker: {line}")

    def _leave_service(self) -> None:
        clients, self._clients = self._clients, ()
        for each in clients:
            each.client.close()

    def _drain(self) -> None:
        """Wait for the answers to the requests that it has, as long as a request may take."""
        end_s = time.monotonic() + max(self._times.request_s, self._busy_s())
        while self._leases and self._clients and time.monotonic() < end_s:
            if self._hurried.wait(DRAIN_POLL_S) or any(each.poll() for each in self._containers.values()):
                return

    def _stop(self, grace_s: float) -> None:
        """End the containers side by side: SIGTERM, after `grace_s` SIGKILL. Whoever waits for an answer gets none: a
        container whose network went first cannot say so."""
        self._leave_service()
        containers = list(self._containers.values())
        if len(containers) == 1:
            containers[0].stop(grace_s)
        elif containers:
            with ThreadPoolExecutor(len(containers)) as pool:
                list(pool.map(lambda container: container.stop(grace_s), containers))
        self._containers = {}
        with self._lock:
            asked = [each.client for lease in self._leases for each in lease.containers]
        for client in asked:
            client.break_off()

"""One instance of an endpoint: its container through start, health checks, unwanted deaths and stop."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from http.client import HTTPException

from stagemaker.core.errors import ApiError
from stagemaker.hosting.http_client import HttpClient
from stagemaker.hosting.plan import InstancePlan
from stagemaker.runtime.contract import Container, Exit, Runtime
from stagemaker.runtime.hardware import HardwareLog

PING_TIMEOUT_S = 2.0  # AWS's: /ping must answer within it
MAX_RESTARTS = 3  # (ours) of a container that was healthy once; more only after it has served for STEADY_S
STEADY_S = 300.0  # (ours)
MAX_PING_BYTES = 64 << 10


class Instance:
    """Keeps one container alive. One thread calls `start`, `check` and `stop`; the properties may be read by any.

    Before it was healthy once, the end of its container loses the instance at once: a model that cannot load should
    say so in seconds. Later the container is started again, after 1, 2 and 4 seconds, and takes requests again when
    /ping answers 200; a start that the machine cannot do counts as one. An instance that is `lost` stays so; `lost` is
    the reason, one sentence.
    """

    def __init__(
        self,
        plan: InstancePlan,
        runtime: Runtime,
        credentials: Callable[[], Mapping[str, str]],
        log: Callable[[str], None],
        clock: Callable[[], float],
    ) -> None:
        self.plan = plan
        self.outstanding = 0  # requests that it works on now; under the fleet's lock
        self.lost: str | None = None
        self.hardware = ""  # of its container, as the runtime words it
        self._runtime, self._credentials, self._log, self._clock = runtime, credentials, log, clock
        self._container: Container | None = None
        self._client: HttpClient | None = None  # while it is healthy
        self._served = False  # this container was healthy once
        self._restarts = MAX_RESTARTS  # so that the first start has none left
        self._due = 0.0  # while there is a container that is not healthy: when it must be; while there is none: restart
        self._healthy_since = 0.0

    @property
    def client(self) -> HttpClient | None:
        """While it is healthy."""
        container = self._container
        return self._client if container and container.running else None

    def start(self) -> None:
        """Start the container; whether it is healthy is for `check` to find. A refusal makes the instance lost."""
        spec, log = self.plan.spec, HardwareLog(self.plan.id, self._log)
        try:
            # As on AWS, what the model's Environment says wins over the role's credentials.
            spec = replace(spec, environment={**self._credentials(), **spec.environment})
            self._container = self._runtime.start(spec, log.line)
        except ApiError as error:
            self._restart_later(f"it could not be started: {error.message.rstrip('.')}", refused=error.status < 500)
            return
        self.hardware, self._served = self._container.hardware, False
        log.begin(self.hardware)
        self._due = self._clock() + self.plan.health_timeout_s

    def check(self) -> None:
        """Notice what has happened since the last check, and act on it. Takes as long as a /ping at most."""
        if self.lost:
            return
        if self._container is None:
            if self._clock() >= self._due:
                self.start()
            return
        end = self._container.poll()
        if end is not None:
            self._died(end)
        elif not self._container.running:
            self._leave_service()  # what asks there may reach another's container
            self._due = self._clock() + self.plan.health_timeout_s
        elif self._client is None:
            self._check_health(self._container)

    def stop(self, grace_s: float) -> None:
        """End the container: SIGTERM, after `grace_s` SIGKILL. Nothing of it is left when this returns."""
        self._leave_service()
        if self._container is not None:
            self._container.stop(grace_s)
            self._container = None

    def _died(self, end: Exit) -> None:
        ended = f"its container ended with exit code {end.code}" + (
            f" ({reason})" if (reason := end.reason.rstrip(".")) else ""
        )
        self._leave_service()
        self._container = None
        if self._served and self._clock() - self._healthy_since >= STEADY_S:
            self._restarts = 0
        self._restart_later(ended if self._healthy_since else f"{ended} before it was healthy")

    def _restart_later(self, why: str, *, refused: bool = False) -> None:
        """Unless it was `refused`, or no restart is left: then the instance is lost."""
        if refused or self._restarts >= MAX_RESTARTS:
            restarted = self._healthy_since and not refused
            self.lost = f"{why} and was restarted {MAX_RESTARTS} times before" if restarted else why
            return
        delay_s = 2**self._restarts
        self._restarts += 1
        self._due = self._clock() + delay_s
        self._log(f"Stagemaker: {why}; restart {self._restarts} of {MAX_RESTARTS} in {delay_s} s.")

    def _check_health(self, container: Container) -> None:
        client = HttpClient(container.address) if container.address else None
        if client and _pings(client):
            self._restarts = self._restarts if self._healthy_since else 0
            self._healthy_since = self._clock()
            self._client, self._served = client, True
            return
        if client:
            client.close()
        if self._clock() >= self._due:
            self.lost = f"it did not answer GET /ping with 200 within {self.plan.health_timeout_s} s"
            self.stop(0)

    def _leave_service(self) -> None:
        client, self._client = self._client, None
        if client is not None:
            client.close()


def _pings(client: HttpClient) -> bool:
    try:
        reply = client.request("GET", "/ping", timeout_s=PING_TIMEOUT_S, max_bytes=MAX_PING_BYTES)
    except (OSError, HTTPException, ValueError):
        return False
    return reply.status == 200

"""Gives each EC2 instance its host, and follows it through its states.

Moto keeps the records, and answers what asks for them: `Records` is how they are read and changed here.
"""

import hmac
import logging
import math
import secrets
import threading
import time
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Protocol
from urllib.parse import urlsplit

from stagemaker.core.credentials import Credentials
from stagemaker.core.errors import ApiError, hinted
from stagemaker.core.refs import Scope
from stagemaker.core.role_session import RoleSession
from stagemaker.core.supervisor import Supervisor
from stagemaker.ec2.metadata import Asked, InstanceView, Notice, Told, answer
from stagemaker.ec2.states import NO_REASON, SHUT_DOWN, SPOT, Reason, after_shutdown, by_user, failed
from stagemaker.runtime.contract import Container, ContainerSpec, Exit, ImageRefused
from stagemaker.runtime.ec2_host import Ec2Host, Ec2Runtime

LOG = logging.getLogger(__name__)
IMAGE = "stagemaker/ec2-host:latest"
CONSOLE_BYTES = 64 << 10  # https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_GetConsoleOutput.html
STOP_S = 90.0  # (ours) from StopInstances or TerminateInstances until the host is killed; init.py ends within 60
NOTICE_S = 120.0  # from the notice of an interruption to the end; AWS: "two minutes"
_LOOK_S = 0.25
_TELL_S = 2.0  # until a host that is to shut down is told again
_REGISTRY = "127.0.0.2"  # where the host's relay listens in place of the account's registry


class Records(Protocol):
    """The record of one instance. Thread-safe."""

    def view(self) -> InstanceView:
        """As it is now."""

    def enter(self, state: str, reason: Reason) -> None:
        """Change its state."""


class Roles(Protocol):
    """Gives out credentials of a role to an instance."""

    def instance_credentials(self, scope: Scope, role_arn: str, instance_id: str) -> Credentials:
        """Fresh ones. ApiError when EC2 may not assume the role."""


class Console:
    """The last 64 KB of what a host has written, and when. Thread-safe."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock, self._lock = clock, threading.Lock()
        self._lines: deque[str] = deque()
        self._size_bytes, self._at_s = 0, clock()

    def add(self, line: str) -> None:
        """Keep a line, and drop the oldest that are too many."""
        with self._lock:
            self._lines.append(line)
            self._size_bytes += len(line.encode()) + 2
            self._at_s = self._clock()
            while self._size_bytes > CONSOLE_BYTES and len(self._lines) > 1:
                self._size_bytes -= len(self._lines.popleft().encode()) + 2

    def read(self) -> tuple[str, float]:
        """All of it, and the moment of the last line."""
        with self._lock:
            text = "".join(f"{line}\r\n" for line in self._lines)
            return text.encode()[-CONSOLE_BYTES:].decode(errors="replace"), self._at_s


@dataclass(eq=False)
class _Life:
    """Of one instance. `wish` is what somebody asked for: a state that ends the boot, with its reason."""

    scope: Scope
    id: str
    records: Records
    console: Console
    secret: bytes
    token: str
    host: Ec2Host | None = None
    runs: bool = False  # a thread follows the host
    wish: tuple[str, Reason] | None = None
    notice: Notice | None = None
    closing: threading.Event = field(default_factory=threading.Event)
    session: RoleSession | None = None
    session_role: str = ""


class Instances:
    """All that have a host. Thread-safe. `put_event` sends an event of a scope: detail type, ARN and detail;
    `registry_port` is where the registry's front listens, 0 where there is none. `factor` compresses the time of a
    notice; `interruption_s` says after how many seconds a spot instance is interrupted by itself, or None."""

    def __init__(
        self,
        runtime: object,
        roles: Roles,
        put_event: Callable[[Scope, str, str, dict[str, str]], None],
        clock: Callable[[], float],
        supervisor: Supervisor,
        *,
        gateway_url: str,
        registry_port: int,
        factor: int = 1,
        interruption_s: Callable[[str], float] | None = None,
    ) -> None:
        self._runtime = runtime if isinstance(runtime, Ec2Runtime) else None
        self._roles, self._put_event, self._clock, self._supervisor = roles, put_event, clock, supervisor
        self._gateway_url, self._registry_port, self._factor = gateway_url, registry_port, factor
        self._interruption_s = interruption_s
        self._lock = threading.Lock()
        self._lives: dict[str, _Life] = {}

    def check(self) -> None:
        """UnsupportedOperation where there is no Docker or no image of a host; 503 at the stage's end."""
        self._supervisor.refuse_when_closing()
        if self._runtime is None:
            raise ApiError(
                "UnsupportedOperation",
                hinted(
                    "An instance cannot be run here: its host is a container.",
                    "run the stack in containers.",
                ),
            )
        try:
            self._runtime.check_image(IMAGE)
        except ImageRefused as error:
            advice = f"build the image {IMAGE}."
            raise ApiError("UnsupportedOperation", hinted("There is no image of a host.", advice)) from error

    def launch(self, scope: Scope, instance_id: str, records: Records) -> None:
        """Boot a new instance, soon. Raises as `check`."""
        self.check()
        console = Console(self._clock)
        life = _Life(scope, instance_id, records, console, secrets.token_bytes(32), secrets.token_urlsafe(32))
        with self._lock:
            self._lives[life.id] = life
        self._enter(life, "pending", NO_REASON)
        self._boot(life)
        if self._interruption_s is not None and records.view().is_spot:
            self._later(life, self._interruption_s(life.id), lambda: self._interrupt(life))

    def start(self, instance_id: str) -> None:
        """Boot one that is stopped."""
        life = self._life(instance_id)
        self._enter(life, "pending", NO_REASON)
        self._boot(life)

    def stop(self, instance_id: str) -> None:
        """Have it shut down, soon."""
        life = self._life(instance_id)
        reason = by_user(self._clock())
        self._enter(life, "stopping", reason)
        self._end(life, "stopped", reason)

    def terminate(self, instance_id: str) -> None:
        """End it, soon, with its disk."""
        life = self._life(instance_id)
        reason = by_user(self._clock())
        self._enter(life, "shutting-down", reason)
        self._end(life, "terminated", reason)

    def reboot(self, instance_id: str) -> None:
        """Have it boot anew."""
        if host := self._life(instance_id).host:
            host.reboot()

    def has(self, instance_id: str) -> bool:
        """Whether it has, or had, a host."""
        return instance_id in self._lives

    def console(self, instance_id: str) -> tuple[str, float]:
        """The last 64 KB that its host has written, and when that was."""
        return self._life(instance_id).console.read()

    def arn_of(self, instance_id: str) -> str:
        """That of a spot instance. ApiError when it is none."""
        return self._arn(self._spot(instance_id)[0])

    def interrupt(self, instance_id: str) -> None:
        """As if EC2 needed the capacity of a spot instance. ApiError when it is none, or does not run."""
        life, view = self._spot(instance_id)
        if view.state != "running" or life.notice:
            raise ApiError("ConflictException", f"The instance {instance_id} is {view.state}.", 409)
        self._interrupt(life)

    def metadata(self, instance_id: str, token: str, asked: Asked) -> Told:
        """What the metadata service answers to the host of this instance, which alone has the token."""
        life = self._lives.get(instance_id)
        if life is None or not hmac.compare_digest(token.encode(), life.token.encode()):
            return Told(404)
        view = life.records.view()
        return answer(view, asked, self._clock(), life.secret, life.notice, lambda: self._credentials(life, view))

    def _spot(self, instance_id: str) -> tuple[_Life, InstanceView]:
        life = self._lives.get(instance_id)
        view = life.records.view() if life else None
        if life is None or view is None or not view.is_spot:
            raise ApiError("ValidationException", f"There is no spot instance {instance_id}.")
        return life, view

    def _credentials(self, life: _Life, view: InstanceView) -> Credentials:
        role = view.profile.role_arn if view.profile else ""
        with self._lock:
            if life.session is None or life.session_role != role:
                life.session_role = role
                life.session = RoleSession(
                    lambda: self._roles.instance_credentials(life.scope, role, life.id), self._clock
                )
            session = life.session
        return session.credentials()

    def _boot(self, life: _Life) -> None:
        with self._lock:
            life.runs = True
        self._supervisor.start(f"instance {life.id}", lambda: self._run(life), cancel=life.closing.set)

    def _run(self, life: _Life) -> None:
        """The thread of one boot, to its end."""
        try:
            state, reason = self._follow(life)
        except ApiError as error:
            state, reason = "terminated", failed(error.message)
        except Exception:
            LOG.exception("the host of %s", life.id)
            state, reason = "terminated", failed("The host could not be followed.")
        if life.closing.is_set():
            return  # the runtime ends it
        with self._lock:
            life.runs = False
            wish, life.wish = life.wish, None
            if wish:  # of a moment ago
                state, reason = wish
        self._finish(life, state, reason)

    def _follow(self, life: _Life) -> tuple[str, Reason]:
        if self._runtime is None:
            raise ApiError("UnsupportedOperation", "There is no host.")
        if life.host is None:
            life.host = self._runtime.create_ec2_host(self._spec(life), self._addresses(life))
        self._supervisor.refuse_when_closing()
        container = life.host.boot(life.console.add)
        with self._lock:
            if life.wish is None:
                self._enter(life, "running", NO_REASON)
        end = self._wait(life, life.host, container)
        view = life.records.view()
        if end is not None and (end.lost or (end.code != 0 and life.wish is None)):
            return "terminated", failed(end.reason or f"The host ended with {end.code}, and not by a shutdown.")
        state = after_shutdown(view.shutdown_behavior, is_spot=view.is_spot)
        if life.wish is None and not life.closing.is_set():
            self._enter(life, "stopping" if state == "stopped" else "shutting-down", SHUT_DOWN)
        return state, SHUT_DOWN

    def _wait(self, life: _Life, host: Ec2Host, container: Container) -> Exit | None:
        """How it ended; None once the stage ends. A host whose end somebody wishes is told so until it ends, since its
        first process does not hear a signal that comes too early, and is killed when it takes too long."""
        tell_at_s, kill_at_s = 0.0, math.inf
        while (end := container.wait(_LOOK_S)) is None and not life.closing.is_set():
            now_s = time.monotonic()
            if life.wish and now_s >= tell_at_s:
                tell_at_s, kill_at_s = now_s + _TELL_S, min(kill_at_s, now_s + STOP_S)
                with suppress(ApiError):  # an engine that does not answer
                    host.shut_down()
            if now_s > kill_at_s:
                return container.stop(0)
        return end

    def _finish(self, life: _Life, state: str, reason: Reason) -> None:
        if state == "terminated" and life.host:
            life.host.kill()
            life.host = None
        self._enter(life, state, reason)

    def _end(self, life: _Life, state: str, reason: Reason) -> None:
        """Have it enter a last state: by the thread that follows it, or by one of its own."""
        with self._lock:
            if life.runs:
                if life.wish is None or state == "terminated":
                    life.wish = state, reason
                return
        self._later(life, 0, lambda: self._finish(life, state, reason))

    def _interrupt(self, life: _Life) -> None:
        notice_s = NOTICE_S / self._factor
        life.notice = Notice(self._clock() + notice_s)
        detail = {"instance-id": life.id, "instance-action": "terminate"}
        self._put_event(life.scope, "EC2 Spot Instance Interruption Warning", self._arn(life), detail)

        def end() -> None:
            if life.records.view().state in ("pending", "running"):
                self._enter(life, "shutting-down", SPOT)
                self._end(life, "terminated", SPOT)

        self._later(life, notice_s, end)

    def _later(self, life: _Life, wait_s: float, call: Callable[[], None]) -> None:
        """Call it after so many seconds, unless the stage ends before."""
        cancelled = threading.Event()

        def run() -> None:
            if not cancelled.wait(wait_s):
                call()

        self._supervisor.start(f"instance {life.id}, later", run, cancel=cancelled.set)

    def _enter(self, life: _Life, state: str, reason: Reason) -> None:
        life.records.enter(state, reason)
        detail = {"instance-id": life.id, "state": state}
        self._put_event(life.scope, "EC2 Instance State-change Notification", self._arn(life), detail)

    def _arn(self, life: _Life) -> str:
        return life.scope.arn("ec2", f"instance/{life.id}")

    def _spec(self, life: _Life) -> ContainerSpec:
        view = life.records.view()
        names = [*self._addresses(life), f"localhost:{self._registry_port}"] if self._registry_port else []
        host = urlsplit(self._gateway_url).hostname
        environment = {
            "AWS_ENDPOINT_URL": self._gateway_url,
            "STAGEMAKER_METADATA": f"{self._gateway_url}/_stagemaker/hosts/{life.id}",
            "STAGEMAKER_TOKEN": life.token,
            "STAGEMAKER_REGISTRIES": ",".join(names),
            **({"STAGEMAKER_REGISTRY": f"{host}:{self._registry_port}"} if self._registry_port else {}),
        }
        return ContainerSpec(
            name=life.id,
            image=IMAGE,
            command=(),
            base_dir=None,
            environment=environment,
            host=view.private_dns.partition(".")[0],
            instance_type=view.instance_type,
        )

    def _addresses(self, life: _Life) -> dict[str, str]:
        return {life.scope.registry: _REGISTRY} if self._registry_port else {}

    def _life(self, instance_id: str) -> _Life:
        life = self._lives.get(instance_id)
        if life is None:
            raise ApiError("InvalidInstanceID.NotFound", f"The instance ID '{instance_id}' does not exist")
        return life

"""The stack in containers: `docker compose` up and down, and everything that the stack started beside itself.

STAGEMAKER_PROJECT names the compose project, its network and volumes, so that tests run beside a stack in use.
"""

import ipaddress
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass

from infra import docker
from infra.clients import chosen_port
from infra.errors import StepFailed
from infra.hosts.host import RunningStack, check_port, locked
from infra.paths import CHECKOUT, Paths
from infra.typed import make

REGISTRY_PORT = 5000
_TAIL_LINES = "15"


@dataclass(frozen=True)
class ComposeHost:
    """The host with Docker: LocalStack, its registry, and every job, server and function in a container of its own."""

    paths: Paths
    environ: Mapping[str, str]
    images: tuple[str, ...] = ("localstack",)

    @property
    def stop_command(self) -> str:
        """`make down` for this project."""
        return make("down", self.environ)

    @property
    def project(self) -> str:
        """The compose project; also its network's name, with which all that the stack starts is labelled."""
        return self.environ.get("STAGEMAKER_PROJECT") or "stagemaker"

    def check_can_start(self, port: int) -> None:
        """Raise StepFailed for a REGISTRY_PORT that is no port, a missing engine, a stack that runs or a taken port."""
        registry_port = chosen_port(self.environ, "REGISTRY_PORT", REGISTRY_PORT)
        docker.require_engine()
        if running := self._running():
            raise StepFailed(
                f"The stack already runs in containers on port {running.port}.",
                f"End it with `{self.stop_command}`, or use it: `{make('status', self.environ)}` says how.",
            )
        check_port(port)
        check_port(registry_port, "REGISTRY_PORT")

    def start(
        self,
        port: int,
        *,
        stays: bool,  # noqa: ARG002 - a container outlives the command that started it, and `stop` ends it
        held: Callable[[], AbstractContextManager[None]] = nullcontext,
    ) -> RunningStack:
        """Start the containers, and wait until they are healthy. They stay, whatever `stays` says. Raises StepFailed;
        then, as after every exception, nothing is left."""
        begun = False
        try:
            with locked(self.paths.state / f"lock-{self.project}"):
                self.check_can_start(port)
                begun = True
                if self._compose("up", "--wait", "--detach", port=port):
                    reason = "The containers did not become healthy."
                    raise StepFailed(reason, "Read the lines above.", self.log_tail())
                running = self._running()
                if running is None:
                    reason = "LocalStack's container has ended."
                    raise StepFailed(reason, "Read its last lines above.", self.log_tail())
                self.check_loopback()
            return running
        except BaseException:
            if begun:  # else it is not ours
                with held():
                    self.stop()
            raise

    def status(self) -> RunningStack | None:
        """The stack that runs, or None; None too where no engine answers."""
        return self._running() if docker.engine_answers() else None

    def stop(self) -> bool:
        """Remove every container, network and volume of the project, and those that it started; whether there was any.

        Where no engine answers there is nothing: it is no error, for this also cleans up after one. Raises StepFailed
        when something stays."""
        if not docker.engine_answers():
            return False
        before = docker.listed("container", *self._members())
        registries = [_registry(container) for container in docker.listed("container", *self._ours("localstack"))]
        # LocalStack ends what it started, unless it was killed before.
        self._compose("--profile", "*", "stop", "--timeout", "30")
        kinds = ("container", "network", "volume")
        left = sum(docker.remove(kind, docker.listed(kind, self._started())) for kind in kinds)
        if self._compose("--profile", "*", "down", "--volumes", "--remove-orphans"):
            reason = "Something of the stack could not be removed."
            raise StepFailed(reason, f"Read the lines above, then: {self.stop_command}")
        for registry in registries:
            docker.forget(registry)
        return bool(before or left)

    def check_loopback(self) -> list[str]:
        """The addresses that the engine publishes for the stack's containers. Raises StepFailed if one is not of
        loopback."""
        found = set()
        for container in [
            *docker.listed("container", *self._members()),
            *docker.listed("container", self._started()),
        ]:
            for bindings in _published(container).values():
                found |= {(binding["HostIp"], int(binding["HostPort"])) for binding in bindings or ()}
        if outside := [f"{host}:{port}" for host, port in sorted(found) if not ipaddress.ip_address(host).is_loopback]:
            raise StepFailed(
                f"The stack publishes {', '.join(outside)}, which other machines can reach.",
                "This is a fault of Stagemaker: please report it with your compose file.",
            )
        return [f"{host}:{port}" for host, port in sorted(found)]

    def log_tail(self) -> tuple[str, ...]:
        """The last lines of the log of LocalStack's container, also when it has ended."""
        for container in docker.listed("container", *self._ours("localstack")):
            return tuple(docker.logs(container, _TAIL_LINES))
        return ()

    def follow_log(self) -> int | None:
        """Show the log of the stack's containers, those that have ended too. The exit code; None where there is none.
        Raises StepFailed where no engine answers."""
        docker.require_engine()
        if not docker.listed("container", *self._members()):
            return None
        return self._compose("logs", "--follow", "--tail", "100")

    def _running(self) -> RunningStack | None:
        for container in docker.listed("container", *self._ours("localstack"), "status=running"):
            for binding in _published(container).get("4566/tcp") or ():
                return RunningStack(f"container {container}", int(binding["HostPort"]))
        return None

    def _ours(self, service: str) -> tuple[str, ...]:
        return *self._members(), f"label=com.docker.compose.service={service}"

    def _started(self) -> str:
        return f"label={docker.LABEL}.network={self.project}"

    def _members(self) -> tuple[str, ...]:
        """Compose labels the images that it builds as well, and so whatever runs them; only its own have a config
        hash."""
        return f"label=com.docker.compose.project={self.project}", "label=com.docker.compose.config-hash"

    def _compose(self, *arguments: str, port: int | None = None) -> int:
        socket = self.environ.get("DOCKER_SOCKET") or docker.mounted_socket()
        environment = {**self.environ, "STAGEMAKER_PROJECT": self.project, "DOCKER_SOCKET": socket}
        if port is not None:
            environment["PORT"] = str(port)
        return docker.follow(["compose", "--project-name", self.project, *arguments], CHECKOUT, environment)


def _published(container: str) -> dict[str, list[dict[str, str]] | None]:
    """The container's ports with the addresses of this machine that lead to them."""
    found = docker.inspect("container", container) or {}
    return dict(found.get("NetworkSettings", {}).get("Ports", {}))


def _registry(container: str) -> str:
    """Where images were pushed to, and pulled from, by its LocalStack, even a killed one: `localhost:<port>`."""
    told = docker.ask("container", "inspect", "--format", "{{range .Config.Env}}{{println .}}{{end}}", container)
    return f"localhost:{dict(line.split('=', 1) for line in told.splitlines())['STAGEMAKER_REGISTRY_PORT']}"

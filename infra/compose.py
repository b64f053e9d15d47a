"""The stack in containers: `docker compose` up and down, and everything that the stack started beside itself.

The same functions as `infra.stack`, which runs it as plain processes. STAGEMAKER_PROJECT names the compose project,
its network and volumes, so that tests run beside a stack in use.
"""

import argparse
import ipaddress
import os
import subprocess
import sys
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass

from infra import docker, stack
from infra.errors import StepFailed
from infra.interrupts import Interrupts
from infra.paths import CHECKOUT, Paths, paths
from infra.stack import HOST, check_port, chosen_port, how_to_talk, locked

IMAGES = ("localstack", "trainer", "serve", "lambda")
REGISTRY_PORT = 5000
_TAIL_LINES = "15"


@dataclass(frozen=True)
class Running:
    """A stack whose LocalStack runs in a container."""

    container: str
    port: int

    @property
    def endpoint(self) -> str:
        """What AWS_ENDPOINT_URL must be."""
        return f"http://{HOST}:{self.port}"


def project() -> str:
    """The compose project; also the name of its network, which everything that the stack starts is labelled with."""
    return os.environ.get("STAGEMAKER_PROJECT") or "stagemaker"


def registry_port() -> int:
    """Where ECR is published. Raises StepFailed for REGISTRY_PORT that is no port."""
    return chosen_port(os.environ, "REGISTRY_PORT", REGISTRY_PORT)


def start(
    where: Paths,
    port: int,
    *,
    stays: bool,  # noqa: ARG001 - as infra.stack's
    held: Callable[[], AbstractContextManager[None]] = nullcontext,
) -> Running:
    """Start it, and wait until it is healthy. Raises StepFailed; then nothing is left.

    `stays` changes nothing here: a container outlives the command that started it, and `stop` ends it."""
    docker.check()
    begun = False
    try:
        with locked(where.state / f"lock-{project()}"):
            if running := status(where):
                raise StepFailed(
                    f"The stack already runs in containers on port {running.port}.",
                    "End it with `make down`, or use it: `make status` says how.",
                )
            check_port(port)
            check_port(registry_port(), "REGISTRY_PORT")
            begun = True
            if _compose("up", "--wait", "--detach", port=port):
                raise StepFailed("The containers did not become healthy.", "Read the lines above.", log_tail(where))
            found = status(where)
            if found is None:
                raise StepFailed("LocalStack's container has ended.", "Read its last lines above.", log_tail(where))
            check_loopback(where)
        return found
    except BaseException:
        if begun:  # else it is not ours
            with held():
                stop(where)
        raise


def build(*names: str) -> str:
    """Build these images, or all that the whole path needs; what was built. Raises StepFailed."""
    docker.check()
    chosen = names or IMAGES
    if subprocess.run([CHECKOUT / "scripts" / "build", *chosen], cwd=CHECKOUT, check=False).returncode:
        raise StepFailed("An image could not be built.", "Read the lines above.")
    return ", ".join(f"stagemaker/{name}" for name in chosen)


def status(where: Paths) -> Running | None:  # noqa: ARG001 - as infra.stack's
    """The stack that runs, or None."""
    for container in docker.listed("container", *_ours("localstack"), "status=running"):
        published = (docker.inspect("container", container) or {}).get("NetworkSettings", {}).get("Ports", {})
        for binding in published.get("4566/tcp") or ():
            return Running(container, int(binding["HostPort"]))
    return None


def stop(where: Paths) -> bool:  # noqa: ARG001 - as infra.stack's
    """Remove every container, network and volume of the project, and those that it started; whether there was any.

    Where no engine answers there is nothing: it is no error, for this also cleans up after one. StepFailed when
    something stays."""
    if not docker.usable():
        return False
    before = docker.listed("container", *_members())
    registries = [_registry(container) for container in docker.listed("container", *_ours("localstack"))]
    _compose("stop", "--timeout", "30")  # LocalStack ends what it started, unless it was killed before
    left = sum(docker.remove(kind, docker.listed(kind, _started())) for kind in ("container", "network", "volume"))
    if _compose("down", "--volumes", "--remove-orphans"):
        raise StepFailed("Something of the stack could not be removed.", "Read the lines above, then: make down")
    for registry in registries:
        docker.forget(registry)
    return bool(before or left)


def remove_images() -> int:
    """Every image that was built from this repository; how many. One that a user built upon ours has our label too,
    but another name."""
    ids = docker.listed("image", f"label={docker.LABEL}=1")
    names = {one: (docker.inspect("image", one) or {}).get("RepoTags") or [] for one in ids}
    return docker.remove("image", [one for one in ids if all("stagemaker/" in name for name in names[one])])


def check_loopback(where: Paths) -> list[str]:  # noqa: ARG001 - as infra.stack's
    """The addresses that are published, as `host:port`. Raises StepFailed if one can be reached from outside."""
    found = set()
    for container in [*docker.listed("container", *_members()), *docker.listed("container", _started())]:
        ports = (docker.inspect("container", container) or {}).get("NetworkSettings", {}).get("Ports", {})
        found |= {(b["HostIp"], int(b["HostPort"])) for bindings in ports.values() for b in bindings or ()}
    if outside := [f"{host}:{port}" for host, port in sorted(found) if not ipaddress.ip_address(host).is_loopback]:
        raise StepFailed(
            f"The stack publishes {', '.join(outside)}, which other machines can reach.",
            "This is a fault of Stagemaker: please report it with your compose file.",
        )
    return [f"{host}:{port}" for host, port in sorted(found)]


def log_tail(where: Paths) -> tuple[str, ...]:  # noqa: ARG001 - as infra.stack's
    """The last lines of LocalStack's log."""
    for container in docker.listed("container", *_ours("localstack")):
        return tuple(docker.logs(container, _TAIL_LINES))
    return ()


def _registry(container: str) -> str:
    """Where images were pushed to, and pulled from, by its LocalStack, even a killed one: `localhost:<port>`."""
    told = docker.ask("container", "inspect", "--format", "{{range .Config.Env}}{{println .}}{{end}}", container)
    return f"localhost:{dict(line.split('=', 1) for line in told.splitlines())['STAGEMAKER_REGISTRY_PORT']}"


def _ours(service: str) -> tuple[str, ...]:
    return *_members(), f"label=com.docker.compose.service={service}"


def _started() -> str:
    return f"label={docker.LABEL}.network={project()}"


def _members() -> tuple[str, ...]:
    """Compose labels the images that it builds as well, and so whatever runs them; only its own have a config hash."""
    return f"label=com.docker.compose.project={project()}", "label=com.docker.compose.config-hash"


def _compose(*arguments: str, port: int | None = None) -> int:
    environment = {**os.environ, "STAGEMAKER_PROJECT": project()}
    if port is not None:
        environment["PORT"] = str(port)
    return docker.follow(["compose", "--project-name", project(), *arguments], CHECKOUT, environment)


def main(arguments: list[str] | None = None) -> int:
    """`python -m infra.compose up|down|status|logs|clean`: 0 when done (status: when it runs), 1 otherwise."""
    parser = argparse.ArgumentParser(prog="python -m infra.compose", description="The stack in containers.")
    parser.add_argument("command", choices=("up", "down", "status", "logs", "clean"))
    command, where = parser.parse_args(arguments).command, paths()
    try:
        if command == "up":
            port, _ = chosen_port(os.environ), registry_port()  # before a build of minutes
            build("localstack")
            with Interrupts() as interrupts:
                start(where, port, stays=True, held=interrupts.held)
        if command in ("down", "clean"):
            print("Stopped." if stop(where) else "Nothing ran.")
            if command == "clean":
                print(f"{remove_images() if docker.usable() else 0} images removed.")
            return 0
        if command == "logs":
            docker.check()
        if command == "logs" and docker.listed("container", *_members()):
            return _compose("logs", "--follow", "--tail", "100")
        running = status(where) if docker.usable() else None
    except StepFailed as error:
        print(*error.evidence, f"Failed: {error.reason}", f"Next: {error.next_step}", sep="\n", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    if running:
        print(f"To talk to it:\n{how_to_talk(running.endpoint)}\nTo end it: make down")
        return 0
    if command == "status" and stack.status(where):
        return stack.main(["status"])
    print("Nothing runs: make start, or in containers make up")
    return 1


if __name__ == "__main__":
    sys.exit(main())

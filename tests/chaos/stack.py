"""The stack in containers that the suite breaks: a compose project of its own, with free ports."""

import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from benchmarks.ports import free_port
from infra import hosts
from infra.clients import connect
from infra.hosts.host import Host
from infra.paths import CHECKOUT
from tests.chaos.engine import Engine
from tests.chaos.load import Load
from tests.chaos.programs import DOCKERFILE, IMAGE, SERVE, TRAIN
from tests.chaos.trial import Environment
from tests.chaos.workload import Workload, streams

PROJECT = "stagemaker-chaos"
REGION = "us-east-1"
_COMPOSE_FILES = ("docker-compose.yml", "tests/chaos/compose.yaml")


@dataclass(kw_only=True)
class ContainerEnvironment(Environment):
    """LocalStack, its registry and all that it starts, in containers of the machine's engine."""

    host: Host
    port: int
    registry_port: int

    def service(self, name: str) -> str:
        """The id of the container of one of compose's services, running or not."""
        return _service(self.engine, self.network, name)

    def start_again(self) -> None:
        """As `docker compose up --wait` after LocalStack was killed."""
        self.engine.run("rm", "--force", self.service("proxy"))  # it is in a network that is gone
        self.host.start(self.port, stays=True)


@contextmanager
def container_environment(rate_per_s: float, project: str = PROJECT) -> Iterator[ContainerEnvironment]:
    """A new stack with the workload on it, under load. At the end nothing of it is left. Raises StepFailed where the
    project runs already."""
    port, registry_port = free_port(), free_port()
    environ = {
        **os.environ,
        "STAGEMAKER_PROJECT": project,
        "REGISTRY_PORT": str(registry_port),
        "COMPOSE_FILE": os.pathsep.join(str(CHECKOUT / name) for name in _COMPOSE_FILES),
    }
    host, engine = hosts.choose(docker=True, environ=environ), Engine()
    with ExitStack() as ends:
        running = host.start(port, stays=True)
        ends.callback(_remove_image, engine)
        ends.callback(host.stop)
        ends.callback(_end_localstack, engine, project)
        _build_image(engine)
        clients = connect("local", REGION, {"AWS_ENDPOINT_URL": running.endpoint})
        workload = Workload(clients, function=True)
        workload.make()
        load = Load(running.endpoint, streams(rate_per_s, function=True))
        ends.callback(load.stop)
        load.start()
        yield ContainerEnvironment(
            url=running.endpoint,
            engine=engine,
            network=project,
            clients=clients,
            load=load,
            workload=workload,
            host=host,
            port=port,
            registry_port=registry_port,
        )


def _build_image(engine: Engine) -> None:
    with TemporaryDirectory() as folder:
        for name, text in (("Dockerfile", DOCKERFILE), ("serve", SERVE), ("train", TRAIN)):
            (Path(folder) / name).write_text(text)
        engine.build(IMAGE, folder)


def _remove_image(engine: Engine) -> None:
    with suppress(RuntimeError):
        engine.run("image", "rm", "--force", IMAGE)


def _service(engine: Engine, project: str, name: str) -> str:
    labels = (f"com.docker.compose.project={project}", f"com.docker.compose.service={name}")
    filters = [word for label in labels for word in ("--filter", f"label={label}")]
    config = "label=com.docker.compose.config-hash"
    (found,) = engine.run("ps", "--all", "--quiet", *filters, "--filter", config).split()
    return found


def _end_localstack(engine: Engine, project: str) -> None:
    """Before compose ends the proxy, through which LocalStack sends its last lines."""
    with suppress(RuntimeError, ValueError):
        engine.run("stop", "--time", "30", _service(engine, project, "localstack"))

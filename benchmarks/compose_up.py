"""The time from `docker compose up` to healthy, with images that are already built: the goal is 20 s."""

import os

from benchmarks.environment import PROJECT
from benchmarks.ports import free_port
from benchmarks.timing import in_turn, summary, write
from infra import hosts


def main(rounds: int) -> None:
    """Measures the scenario and writes its figures."""
    os.environ |= {"STAGEMAKER_PROJECT": PROJECT, "REGISTRY_PORT": str(free_port())}
    try:
        seconds = in_turn(rounds, {"up": _up, "down": _down})
    finally:
        _down()
    write("compose_up", {name: summary(taken) for name, taken in seconds.items()})


def _up() -> None:
    hosts.choose(docker=True).start(free_port(), stays=True)


def _down() -> None:
    hosts.choose(docker=True).stop()

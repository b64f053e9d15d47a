"""From `docker compose up` to healthy, with the images there: the goal is 20 s."""

import os

from benchmarks.place import PROJECT, free_port
from benchmarks.timing import in_turn, summary, write
from infra import compose
from infra.paths import paths


def main(rounds: int) -> None:
    """Measure and write."""
    os.environ |= {"STAGEMAKER_PROJECT": PROJECT, "REGISTRY_PORT": str(free_port())}
    try:
        seconds = in_turn(rounds, {"up": _up, "down": _down})
    finally:
        _down()
    write("compose_up", {name: summary(taken) for name, taken in seconds.items()})


def _up() -> None:
    compose.start(paths(), free_port(), stays=True)


def _down() -> None:
    compose.stop(paths())

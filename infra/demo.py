"""`make demo`: the whole path on one machine, told on the terminal. Data, training, endpoint, function, proof; then
everything is stopped and deleted. KEEP=1 leaves it up, DOCKER=1 runs every part in its own container. However it
ends, Ctrl-C included, no process and no container is left."""

import argparse
import os
import sys
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any, Protocol

from botocore.exceptions import BotoCoreError, ClientError

from infra import command, compose, proof, stack, steps
from infra.bootstrap import add_options, load_data, settings_of, world_of
from infra.clients import connect
from infra.dataset import Dataset
from infra.errors import StepFailed
from infra.interrupts import Interrupts
from infra.paths import Paths, paths
from infra.plan import SPLITS
from infra.steps import World
from infra.terminal import Terminal

WHERE = paths()


class Running(Protocol):
    """A stack that runs."""

    @property
    def endpoint(self) -> str: ...


class Stack(Protocol):
    """What `infra.stack` and `infra.compose` have in common: how a stack is started and ended."""

    def start(
        self, where: Paths, port: int, *, stays: bool, held: Callable[[], AbstractContextManager[None]]
    ) -> Running: ...
    def stop(self, where: Paths) -> bool: ...
    def check_loopback(self, where: Paths) -> list[str]: ...
    def log_tail(self, where: Paths) -> tuple[str, ...]: ...


def run(options: argparse.Namespace, host: Stack, interrupts: Interrupts, terminal: Terminal) -> None:
    """The story from start to end. Raises StepFailed; then the stack is stopped, as on every other exception."""
    settings_of(options)
    port = stack.chosen_port(os.environ)
    with terminal.step("Data") as done:
        data = load_data(options.data)
        done.result = _describe(data)
    if options.docker:
        compose.registry_port()
        with terminal.step("Images") as done:
            done.result = compose.build()
    running, kept = None, False  # until it runs there is nothing of ours to stop
    try:
        with terminal.step("LocalStack") as done:
            running = host.start(WHERE, port, stays=options.keep, held=interrupts.held)
            done.result = f"up on {running.endpoint}"
        clients = connect("local", options.region, {"AWS_ENDPOINT_URL": running.endpoint})
        world = world_of(options, clients, data, terminal)
        steps.up(world)
        _prove(world, host)
        if options.keep:
            kept = True
        else:
            _clean_up(world, host)
    except (BotoCoreError, ClientError) as error:
        raise _failure(error, host) from error  # here, while there is a log to show
    finally:
        interrupts.no_more()
        if running and not kept:
            host.stop(WHERE)
    terminal.summary()
    if kept:
        _say_how(world, running.endpoint, "make down" if options.docker else "make stop")


def _describe(data: Dataset) -> str:
    counts = ", ".join(f"{len(data.split(name)):,} {name}" for name in SPLITS)
    return f"{len(data.classes)} classes in {data.folder}; photos: {counts}"


def _prove(world: World, host: Stack) -> None:
    with world.terminal.step("Accuracy through the endpoint") as done:
        done.result = str(proof.measure(world))
    with world.terminal.step("Photos through the function") as done:
        done.result = proof.show_three(world)
    with world.terminal.step("Only this machine can reach it") as done:
        done.result = "listens on " + ", ".join(host.check_loopback(WHERE))


def _clean_up(world: World, host: Stack) -> None:
    with world.terminal.step("Clean up") as done:
        count = steps.down(world.clients, world.plan, world.terminal)
        host.stop(WHERE)
        done.result = f"{count} resources deleted, LocalStack stopped"


def _say_how(world: World, endpoint: str, end: str) -> None:
    plan = world.plan
    photo = world.dataset.split("test")[0]
    event = '{"s3": "s3://' + f"{plan.bucket}/data/{photo.key}" + '"}'
    world.terminal.say("The stack stays up. In another shell:")
    for line in (
        *stack.how_to_talk(endpoint).splitlines(),
        f"aws sagemaker describe-endpoint --endpoint-name {plan.endpoint}",
        f"aws sagemaker-runtime invoke-endpoint --endpoint-name {plan.endpoint} --content-type {photo.content_type} "
        f"--accept 'application/json;top-k=5' --body 'fileb://{photo.path}' /dev/stdout",
        f"echo '{event}' | aws lambda invoke --function-name {plan.function} --payload fileb:///dev/stdin /dev/stdout",
    ):
        world.terminal.console.print(line, soft_wrap=True, markup=False)
    world.terminal.say(f"To end it: {end}")


def _failure(error: Exception, host: Stack) -> StepFailed:
    """What the reader is told when AWS's interface fails, with the stack's last lines."""
    text = "Read LocalStack's last lines above, and run it again; KEEP=1 does not help, for what failed is stopped."
    return StepFailed(str(error), text, host.log_tail(WHERE))


def main(arguments: list[str] | None = None, environ: Any = os.environ) -> int:
    """`python -m infra.demo`: 0 when every step was done, 1 when one failed, 130 on Ctrl-C."""
    parser = argparse.ArgumentParser(prog="python -m infra.demo", description=__doc__)
    keep, docker = (environ.get(name, "") not in ("", "0") for name in ("KEEP", "DOCKER"))
    parser.add_argument("--keep", action="store_true", default=keep, help="leave the stack up (or KEEP=1)")
    parser.add_argument("--docker", action="store_true", default=docker, help="everything in containers (or DOCKER=1)")
    add_options(parser)
    options, terminal = parser.parse_args(arguments), Terminal()
    host: Stack = compose if options.docker else stack
    return command.run(
        lambda interrupts: run(options, host, interrupts, terminal), terminal,
        next_step="Please report this.", interrupted="Interrupted: everything was stopped.",
    )  # fmt: skip


if __name__ == "__main__":
    sys.exit(main())

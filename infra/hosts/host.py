"""The interface of a host, and what the hosts share: ports of loopback, the lock of a start, what a user types."""

import fcntl
import socket
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from infra.clients import LOCAL_CREDENTIALS
from infra.errors import StepFailed

ADDRESS = "127.0.0.1"


@dataclass(frozen=True)
class RunningStack:
    """A LocalStack that runs. `leader` is its process or its container; two runs never have the same."""

    leader: str
    port: int

    @property
    def endpoint(self) -> str:
        """What AWS_ENDPOINT_URL must be."""
        return f"http://{ADDRESS}:{self.port}"

    def how_to_talk(self, region: str = "us-east-1") -> str:
        """The lines to type in another shell."""
        keys = " ".join(f"{name.upper()}={value}" for name, value in LOCAL_CREDENTIALS.items())
        return f"export AWS_ENDPOINT_URL={self.endpoint} AWS_DEFAULT_REGION={region}\nexport {keys}"


class Host(Protocol):
    """A place where the stack runs. Its methods are for the main thread.

    On AWS, which a later host stands for, there is nothing to start or to stop: the stack is the caller's account. Then
    `status` says whether its credentials are valid, and the logs are those of CloudWatch."""

    @property
    def images(self) -> tuple[str, ...]:
        """The images that must be built before `start`, such as `localstack`; none where no container runs."""

    @property
    def stop_command(self) -> str:
        """What a user types to end it."""

    def check_can_start(self, port: int) -> None:
        """Raise StepFailed when `start` would: a stack runs already, a port is taken or no port, a tool is missing."""

    def start(
        self, port: int, *, stays: bool, held: Callable[[], AbstractContextManager[None]] = nullcontext
    ) -> RunningStack:
        """Start the stack on a port of loopback, and wait until it answers.

        With `stays` it outlives this process. `held` keeps signals off while something is made that must be written
        down. Raises StepFailed; then, as after every exception, nothing is left."""

    def status(self) -> RunningStack | None:
        """The stack that runs, or None; also where the tool that runs it is missing."""

    def stop(self) -> bool:
        """End the stack and all that it started, and return when nothing is left; False when nothing ran. Call it with
        signals held. Raises StepFailed when something stays."""

    def check_loopback(self) -> list[str]:
        """The addresses that the stack listens on, as `host:port`. Raises StepFailed if one is not of loopback."""

    def log_tail(self) -> tuple[str, ...]:
        """The last lines of LocalStack's log; none where there is no log."""

    def follow_log(self) -> int | None:
        """Show the log on the terminal while it grows, until the stack ends or a signal comes. The exit code; None
        where there is no log to follow. Raises StepFailed when the tool that runs the stack is missing."""


def check_port(port: int, variable: str = "PORT") -> None:
    """Raise StepFailed when something listens on it; `variable` is what the user sets to choose another."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # as the server does: old connections may linger
        try:
            probe.bind((ADDRESS, port))
        except OSError as error:
            raise StepFailed(
                f"Port {port} of {ADDRESS} is taken ({error.strerror}).",
                f"Choose another, such as {variable}={port + 34}, and run it again.",
            ) from None


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """One start at a time. Raises StepFailed while another command holds the file's lock."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with open(path, "w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise StepFailed("Another command is starting the stack of this checkout.", "Wait for it.") from None
        yield

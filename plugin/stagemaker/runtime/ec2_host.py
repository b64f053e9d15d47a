"""The part of a runtime that gives an EC2 instance a host. Only the Docker runtime has it: a process is no machine."""

from collections.abc import Callable, Mapping
from typing import Protocol, runtime_checkable

from stagemaker.runtime.contract import Container, ContainerSpec


class Ec2Host(Protocol):
    """The host of one instance, with its disk. All methods may be called from any thread, and raise ApiError when the
    engine fails."""

    def boot(self, on_line: Callable[[str], None]) -> Container:
        """Start it, and return at once. The container ends when the host is stopped or shuts itself down; then it can
        boot again, with its disk as it was. `on_line` gets each line of its console."""

    def reboot(self) -> None:
        """Have it boot anew, as its own `reboot` does; nothing where it does not run."""

    def shut_down(self) -> None:
        """Have it shut down, as its own `poweroff` does, and return at once; nothing where it does not run."""

    def kill(self) -> None:
        """End it at once, and delete its disk; returns when nothing of it is left. Idempotent; does not raise."""


@runtime_checkable
class Ec2Runtime(Protocol):
    """A runtime that has hosts."""

    def check_image(self, image: str) -> None:
        """Raise ImageRefused when there is no such image."""

    def create_ec2_host(self, spec: ContainerSpec, addresses: Mapping[str, str]) -> Ec2Host:
        """A host that has not booted yet, which finds the names of `addresses` there. Raises as `Runtime.start`."""

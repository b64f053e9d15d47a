"""The endpoint that gives a container the credentials of its role, as AWS's containers have it at 169.254.170.2.

https://docs.aws.amazon.com/AmazonECS/latest/developerguide/task-iam-roles.html. AWS's SDKs ask it at the path in
AWS_CONTAINER_CREDENTIALS_RELATIVE_URI, and ask again before the credentials end.
"""

import fcntl
import socket
import struct
import time
from collections.abc import Callable

from stagemaker.runtime.credentials import CredentialsServer

ADDRESS, PORT = "169.254.170.2", 80
_SIOCGIFADDR = 0x8915  # netdevice(7)


class CredentialsEndpoint(CredentialsServer):
    """Serves the containers of one network. Bound to the interface `device` ("": any), it hears nobody else, and its
    answers leave there: our container has the same link-local address on every network. OSError when it cannot listen.
    """

    def __init__(
        self, device: str = "", address: tuple[str, int] = (ADDRESS, PORT), clock: Callable[[], float] = time.time
    ) -> None:
        self._device = device
        super().__init__(address, clock)

    def server_bind(self) -> None:
        """To the interface as well."""
        if self._device:
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, self._device.encode())
        super().server_bind()


def device_of(address: str) -> str:
    """The network interface of this machine that has the IPv4 address first. LookupError when there is none."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asking:
        for _, name in socket.if_nameindex():
            try:
                found = fcntl.ioctl(asking, _SIOCGIFADDR, struct.pack("256s", name.encode()))
            except OSError:  # it has no address, or is gone
                continue
            if socket.inet_ntoa(found[20:24]) == address:
                return name
    raise LookupError(f"no network interface has the address {address}")

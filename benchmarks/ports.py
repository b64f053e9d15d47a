"""Free ports for the servers that tests and benchmarks start."""

import random
import socket

PORTS = range(10_000, 32_000)  # below those of outgoing connections, one of which could take it before the server does


def free_port() -> int:
    """A port that nothing has on this machine now."""
    while True:
        port = random.choice(PORTS)  # noqa: S311 - no secret
        try:
            socket.create_server(("", port)).close()
        except OSError:
            continue
        return port

"""Loopback ports that stay ours between the choice of a number and the moment a server listens on it."""

import socket

LOOPBACK = "127.0.0.1"


def reserve_port() -> socket.socket:
    """A socket bound to a free loopback port; close it when the server has ended.

    While it is bound the kernel gives the port to nobody who asks for any port, but a server that sets SO_REUSEADDR,
    as asyncio, uvloop and http.server do, can bind and listen (socket(7): nobody listens on this one). OSError when no
    port is free."""
    reserved = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    try:
        reserved.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        reserved.bind((LOOPBACK, 0))
    except OSError:
        reserved.close()
        raise
    return reserved

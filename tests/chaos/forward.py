"""A port of this machine that leads into another network namespace, which cannot be reached otherwise."""

import os
import socket
import threading
from contextlib import suppress


class Forward:
    """Listens on a port of loopback until `close`, and passes each connection on to the same port of loopback in the
    network namespace of a process."""

    def __init__(self, port: int, process: int) -> None:
        self._port = port
        self._namespace = os.open(f"/proc/{process}/ns/net", os.O_RDONLY)
        self._listener = socket.create_server(("127.0.0.1", port), backlog=256)
        self._accepting = threading.Thread(target=self._accept, daemon=True)
        self._accepting.start()

    def close(self) -> None:
        """Listen no more. Connections end with their other side."""
        self._listener.shutdown(socket.SHUT_RDWR)
        self._accepting.join()
        self._listener.close()
        os.close(self._namespace)

    def _accept(self) -> None:
        """This thread moves into the other namespace: what it opens is there. The listener stays where it was made."""
        os.setns(self._namespace, os.CLONE_NEWNET)
        while True:
            try:
                here, _ = self._listener.accept()
            except OSError:
                return
            try:
                there = socket.create_connection(("127.0.0.1", self._port), timeout=5)
            except OSError:
                here.close()
                continue
            there.settimeout(None)
            threading.Thread(target=_pass_on, args=(here, there), daemon=True).start()


def _pass_on(here: socket.socket, there: socket.socket) -> None:
    """Both directions, until both have ended."""
    with here, there:
        answers = threading.Thread(target=_copy, args=(there, here), daemon=True)
        answers.start()
        _copy(here, there)
        answers.join()


def _copy(one: socket.socket, other: socket.socket) -> None:
    end = socket.SHUT_WR
    try:
        while piece := one.recv(65536):
            other.sendall(piece)
    except OSError:
        end = socket.SHUT_RDWR
    with suppress(OSError):
        other.shutdown(end)

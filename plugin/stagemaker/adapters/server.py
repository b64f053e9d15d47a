"""LocalStack's web server, but on the addresses of GATEWAY_LISTEN only. GATEWAY_SERVER=loopback chooses it."""

import importlib
import time
from typing import Any

from localstack.config import HostAndPort
from localstack.runtime.server import RuntimeServer
from localstack.runtime.server.core import RuntimeServerPlugin
from localstack.runtime.server.twisted import TwistedRuntimeServer

from stagemaker.adapters import running
from stagemaker.api.callers import callers

HOOKS = "stagemaker.adapters.localstack"


class LoopbackServer(TwistedRuntimeServer):
    """LocalStack's default server listens on all interfaces, whatever host GATEWAY_LISTEN says; this one does not."""

    def register(
        self,
        gateway: Any,
        listen: list[HostAndPort],
        ssl_creds: tuple[str, str] | None = None,  # noqa: ARG002 - as the original
    ) -> None:
        """Plain HTTP only: it never leaves the machine. OSError when an address is taken: the original's goes on, and
        says that it is ready when whoever took the address answers. RuntimeError when the stage has not started."""
        _check_started()
        from twisted.internet import reactor
        from twisted.internet.error import CannotListenError

        from stagemaker.adapters.doors import Door

        reactor.seconds = time.monotonic  # type: ignore[attr-defined]  # else all timers end when the clock is set
        settings = running.current().settings
        door = Door(gateway, callers(settings.hosts, settings.origins))
        for address in listen:
            try:
                reactor.listenTCP(address.port, door, interface=address.host)  # type: ignore[attr-defined]
            except CannotListenError as error:
                raise OSError(
                    f"LocalStack cannot listen on {address.host}:{address.port}: {error.socketError}."
                ) from error


def _check_started() -> None:
    """RuntimeError, with a sentence, when the start hook has not run: LocalStack logs a hook that cannot be imported,
    and goes on without it."""
    if running.is_running():
        return
    try:
        importlib.import_module(HOOKS)
    except Exception as error:
        reason = f"{type(error).__name__}: {error}"
        raise RuntimeError(
            f"LocalStack does not start without Stagemaker, which cannot be imported: {reason}"
        ) from error
    raise RuntimeError("LocalStack does not start without Stagemaker, whose start hook has not run.")


class LoopbackServerPlugin(RuntimeServerPlugin):
    """GATEWAY_SERVER=loopback."""

    name = "loopback"

    def load(self, *_args: Any, **_kwargs: Any) -> RuntimeServer:
        """A server that is not registered yet."""
        return LoopbackServer()  # type: ignore[no-untyped-call]

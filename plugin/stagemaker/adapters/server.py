"""LocalStack's web server, but on the addresses of GATEWAY_LISTEN only. GATEWAY_SERVER=loopback chooses it."""

from typing import Any

from localstack.config import HostAndPort
from localstack.runtime.server import RuntimeServer
from localstack.runtime.server.core import RuntimeServerPlugin
from localstack.runtime.server.twisted import TwistedRuntimeServer


class LoopbackServer(TwistedRuntimeServer):
    """LocalStack's default server listens on all interfaces, whatever host GATEWAY_LISTEN says; this one does not."""

    def register(
        self,
        gateway: Any,
        listen: list[HostAndPort],
        ssl_creds: tuple[str, str] | None = None,  # noqa: ARG002 - as the original
    ) -> None:
        """Plain HTTP only: it never leaves the machine. OSError when an address is taken: the original's goes on, and
        says that it is ready when whoever took the address answers."""
        from rolo.serving.twisted import TwistedGateway
        from twisted.internet import reactor
        from twisted.internet.error import CannotListenError

        for address in listen:
            try:
                site = TwistedGateway(gateway)
                site.requestFactory = _request_as_sent  # type: ignore[assignment]
                reactor.listenTCP(address.port, site, interface=address.host)  # type: ignore[attr-defined]
            except CannotListenError as error:
                raise OSError(
                    f"LocalStack cannot listen on {address.host}:{address.port}: {error.socketError}."
                ) from error


def _request_as_sent(*arguments: Any, **named: Any) -> Any:
    """A request whose body is nobody's before its handler: twisted parses forms, and refuses those that it cannot."""
    from rolo.serving.twisted import TwistedRequestAdapter

    return TwistedRequestAdapter(*arguments, **named, parsePOSTFormSubmission=False)  # type: ignore[no-untyped-call]


class LoopbackServerPlugin(RuntimeServerPlugin):
    """GATEWAY_SERVER=loopback."""

    name = "loopback"

    def load(self, *_args: Any, **_kwargs: Any) -> RuntimeServer:
        """A server that is not registered yet."""
        return LoopbackServer()  # type: ignore[no-untyped-call]

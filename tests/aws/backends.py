"""Who answers in AWS's place: LocalStack with the plugin, or moto's records."""

import http.client
import threading
from typing import Any, Protocol
from urllib.parse import urlsplit

from botocore.awsrequest import AWSPreparedRequest
from moto.core.base_backend import BackendDict
from moto.core.botocore_stubber import BotocoreStubber

from tests.aws.wire import HttpRequest, HttpResponse

_TIMEOUT_S = 300.0
_BY_CONNECTION = ("connection", "content-length", "expect", "keep-alive", "transfer-encoding")


class Backend(Protocol):
    """Answers a request that was meant for AWS. Called from many threads."""

    def send(self, request: HttpRequest) -> HttpResponse:
        """Its answer. Raises OSError when there is none."""


class Server:
    """An HTTP server at a URL, which sees the host that was asked, since its signature covers that."""

    def __init__(self, url: str) -> None:
        self._address = urlsplit(url).netloc

    def send(self, request: HttpRequest) -> HttpResponse:
        """One request over a connection of its own."""
        connection = http.client.HTTPConnection(self._address, timeout=_TIMEOUT_S)
        try:
            connection.putrequest(request.method, request.target, skip_host=True, skip_accept_encoding=True)
            for name, value in request.headers:
                if name.lower() not in _BY_CONNECTION:
                    connection.putheader(name, value)
            if request.body or request.method in ("POST", "PUT"):
                connection.putheader("Content-Length", str(len(request.body)))
            connection.endheaders(request.body)
            answer = connection.getresponse()
            headers = tuple((k, v) for k, v in answer.getheaders() if k.lower() not in _BY_CONNECTION)
            length = answer.getheader("Content-Length")
            if request.method == "HEAD" and length is not None:
                headers += (("Content-Length", length),)
            return HttpResponse(answer.status, headers, answer.read())
        except http.client.HTTPException as error:
            raise ConnectionError(str(error)) from error
        finally:
            connection.close()


class OneServiceElsewhere:
    """A backend, but for the hosts that begin so, such as `api.ecr.`: another answers for those."""

    def __init__(self, backend: Backend, host: str, other: Backend) -> None:
        self._backend, self._host, self._other = backend, host, other

    def send(self, request: HttpRequest) -> HttpResponse:
        """As the one that the request is for."""
        chosen = self._other if request.host.startswith(self._host) else self._backend
        return chosen.send(request)


class Moto:
    """Moto's records, in this process, without a server: what it would answer to a patched boto3. It takes one call at
    a time, and believes every key. A new one is empty, and so are all older ones then."""

    def __init__(self) -> None:
        BackendDict.reset()
        self._stubber, self._lock = BotocoreStubber(), threading.Lock()

    def send(self, request: HttpRequest) -> HttpResponse:
        """The answer of moto's model of the service."""
        prepared = AWSPreparedRequest(
            request.method, f"https://{request.host}{request.target}", dict(request.headers), request.body, False
        )
        with self._lock:
            found: Any = self._stubber.process_request(prepared)
        if found is None:
            raise ConnectionError(f"moto does not know {request.host}")
        status, headers, body = found
        content = body.encode() if isinstance(body, str) else bytes(body)
        kept = tuple((str(k), str(v)) for k, v in headers.items() if k.lower() not in _BY_CONNECTION)
        return HttpResponse(int(status), kept, content)

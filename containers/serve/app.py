"""The HTTP interface of the server: GET /ping and POST /invocations, as SageMaker calls them.
That of a multi-model endpoint is in multi_model.py.

The protocol (protocol.py) calls it only with whole requests, and with no more of them than the queue has places. Every
error is JSON, `{"error": "<one sentence>"}`: 400 for what cannot be read, 406, 408, 413, 415, and 503 with Retry-After.
The workers do everything that takes CPU time; the event loop only moves bytes.
"""

import asyncio
import logging
from collections.abc import AsyncGenerator, Coroutine, Iterator, Mapping, Sequence
from contextlib import aclosing, contextmanager

from fastapi import FastAPI, Request, Response
from fastapi.responses import JSONResponse, PlainTextResponse
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Receive, Scope, Send

from containers.serve import metrics
from containers.serve.connections import Queue
from containers.serve.engines import EngineChoice, Logits
from containers.serve.fetch import fetch
from containers.serve.inputs import InlineImages, S3Object, Url, media_type, parse
from containers.serve.lines import LinesResponse
from containers.serve.model import Item, Model
from containers.serve.objects import read_object
from containers.serve.outputs import JSON_LINES, Form, negotiate, render
from containers.serve.protocol import INVOCATIONS
from containers.serve.refused import Refused, quoted
from containers.serve.settings import RETRY_AFTER_S, ServeSettings
from containers.serve.workers import Workers

_HEADERS = (b"content-type", b"content-encoding", b"accept", b"x-amzn-sagemaker-custom-attributes")
_SMALL_BODY_BYTES = 65_536  # parsed within a millisecond, which needs no other thread
_SMALL_LOGITS = 4096
_LOG = logging.getLogger("serve")


class Service:
    """Answers requests with the model that the caller gives. All calls come from one event loop."""

    def __init__(self, workers: Workers, settings: ServeSettings, queue: Queue) -> None:
        self._workers = workers
        self._queue = queue
        self._settings = settings
        self._remote = 0

    async def ping(self, _request: Request) -> Response:
        """Answers 200 as long as the models answer, else 503. It waits for nothing: not for the queue, nor for a model.
        A server of one model listens only after it is loaded and warm."""
        if self._workers.is_answering():
            return PlainTextResponse("ok")
        return PlainTextResponse("The model does not answer.", 503)

    def metrics(self, choice: EngineChoice | None) -> Response:
        """The server's figures for Prometheus. `choice` is what its one model runs on."""
        text = metrics.render(self._workers.stages, self._queue, choice)
        return Response(text, headers={"content-type": metrics.CONTENT_TYPE})

    async def answer(self, model: Model, request: Request) -> Response:
        """The model's answer for the images in the request. Raises Refused."""
        headers = dict(reversed(request.scope["headers"]))  # of several of a name the first counts
        content_type, encoding, accept, attributes = (headers.get(name, b"").decode("latin-1") for name in _HEADERS)
        media = media_type(content_type, encoding)
        form = negotiate(accept, attributes)
        items = await self._items(request, media, await read_body(request))
        takes_chunks = request.scope["http_version"] != "1.0"
        if len(items) > 1 and form.media == JSON_LINES and takes_chunks:
            lines = self._lines(model, items, form)
            return LinesResponse(await anext(lines), lines, form.media)
        logits = await until_gone(request, self._workers.logits(model, items))
        # Starlette would add a charset to text/csv, which SageMaker's SDK does not take for CSV then.
        return Response(await self._text(model, logits, form), headers={"content-type": form.media})

    async def _items(self, request: Request, media: str, body: bytes) -> list[Item]:
        large = len(body) > _SMALL_BODY_BYTES and not media.startswith("image/")
        match await self._workers.in_side_thread(parse, media, body) if large else parse(media, body):
            case InlineImages(items):
                return items
            case Url(url):
                with self._remote_slot():
                    fetching = fetch(url, allowed_origins=self._settings.allowed_origins)
                    return [await until_gone(request, fetching)]
            case S3Object(uri):
                with self._remote_slot():
                    return [await asyncio.to_thread(read_object, uri)]

    async def _lines(self, model: Model, items: Sequence[Item], form: Form) -> AsyncGenerator[str]:
        async with aclosing(self._workers.stream(model, items)) as parts:
            async for logits in parts:
                yield await self._text(model, logits, form)

    async def _text(self, model: Model, logits: Logits, form: Form) -> str:
        classes = model.card.classes
        if logits.size > _SMALL_LOGITS:
            return await self._workers.in_side_thread(render, logits, classes, form)
        return render(logits, classes, form)

    @contextmanager
    def _remote_slot(self) -> Iterator[None]:
        """Counts the request among those that wait for another host. Raises Refused 503 when these are a quarter of the
        queue, so that slow hosts cannot keep all other callers out."""
        if self._remote >= max(1, self._settings.queue // 4):
            raise Refused(503, "The server waits for too many other hosts; try again.", RETRY_AFTER_S)
        self._remote += 1
        try:
            yield
        finally:
            self._remote -= 1


class Invocations:
    """The ASGI application of POST /invocations, which needs none of FastAPI's layers: it makes answers of errors."""

    def __init__(self, model: Model, service: Service) -> None:
        self._model = model
        self._service = service

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answers one request. Raises what the model raised, after the answer that says so, for the log."""
        request = Request(scope, receive)
        try:
            response = await self._service.answer(self._model, request)
        except Refused as error:
            response = await _answer_refused(request, error)
        except Exception as error:
            response = await _answer_failure(request, error)
            await response(scope, receive, send)
            raise
        await response(scope, receive, send)


class ServeApp(FastAPI):
    """FastAPI's application, but a POST to a path of `direct` goes to the application that stands there at once:
    FastAPI's layers would take as much CPU time as everything else that an answer needs besides the model."""

    def __init__(self, direct: Mapping[str, ASGIApp]) -> None:
        super().__init__(title="Stagemaker serve", openapi_url=None)
        self._direct = direct

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Called by uvicorn for each request."""
        app = self._direct.get(scope["path"]) if scope["method"] == "POST" else None
        await (app or super().__call__)(scope, receive, send)


def create_app(model: Model, service: Service) -> FastAPI:
    """The application of one model, with its routes."""
    invocations = Invocations(model, service)
    app = bare_app("GET /ping or POST /invocations", {INVOCATIONS: invocations})

    async def figures(_request: Request) -> Response:
        return service.metrics(model.engine.choice)

    app.add_route("/ping", service.ping, methods=["GET"])
    app.add_route("/metrics", figures, methods=["GET"])
    app.add_route(INVOCATIONS, invocations, methods=["POST"])  # type: ignore[arg-type] # refuses other methods
    return app


def bare_app(routes: str, direct: Mapping[str, ASGIApp]) -> FastAPI:
    """An application without routes and without FastAPI's pages of documentation, whose errors are JSON. `routes` is
    what it tells a caller of another route to use, and `direct` is ServeApp's."""

    async def answer_http(request: Request, error: HTTPException) -> Response:
        message = f"{quoted(f'{request.method} {request.url.path}')} is not served; use {routes}."
        return JSONResponse({"error": message}, error.status_code, error.headers)

    app = ServeApp(direct)
    app.exception_handler(Refused)(_answer_refused)
    app.exception_handler(HTTPException)(answer_http)
    app.exception_handler(Exception)(_answer_failure)
    return app


async def read_body(request: Request) -> bytes:
    """The body, which is there already. Raises Refused when the client has gone."""
    body: bytes = b""
    while True:
        message = await request.receive()
        if message["type"] == "http.disconnect":
            raise _gone()
        body += message.get("body", b"")
        if not message.get("more_body"):
            return body


async def until_gone[T](request: Request, work: Coroutine[None, None, T]) -> T:
    """The result of the work, which is cancelled when the client goes away: its place is free for another then. The
    body must have been read. Raises Refused."""
    working, gone = asyncio.ensure_future(work), asyncio.ensure_future(request.receive())
    gone.add_done_callback(lambda _: working.cancel())
    try:
        return await working
    except asyncio.CancelledError:
        if gone.done():
            raise _gone() from None
        raise
    finally:
        gone.cancel()


def _gone() -> Refused:
    return Refused(400, "The client went away.")


async def _answer_refused(_request: Request, error: Refused) -> Response:
    headers = {"Retry-After": str(error.retry_after_s)} if error.retry_after_s else None
    if error.status != 503:  # there are many of them when other hosts are slow
        _LOG.info("refused %d: %s", error.status, error.message)
    return JSONResponse({"error": error.message}, error.status, headers)


async def _answer_failure(_request: Request, _error: Exception) -> Response:
    return JSONResponse({"error": "The model failed; the container's log has the reason."}, 500)

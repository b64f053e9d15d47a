"""The HTTP interface of a multi-model endpoint, as SageMaker calls it: it loads, lists, unloads and invokes models.

| request                      | answer                                                                                |
|------------------------------|---------------------------------------------------------------------------------------|
| POST /models                 | loads {"model_name", "url"}; 400, 409 (loaded already), 507 (no memory)               |
| GET /models                  | {"models": [{"modelName", "modelUrl"}], "nextPageToken"}; ?limit=, ?next_page_token=  |
| GET /models/{name}           | {"modelName", "modelUrl"}; 404                                                        |
| DELETE /models/{name}        | after the last request that uses the model; 404                                       |
| POST /models/{name}/invoke   | as /invocations; 404, 507                                                             |

The routes are those of AWS's "Build Your Own Container for SageMaker Multi-Model Endpoints".
"""

import json
from typing import Any

from fastapi import FastAPI, Request, Response
from fastapi.responses import JSONResponse
from starlette.types import Receive, Scope, Send

from containers.serve.app import Service, bare_app, read_body
from containers.serve.models import Models
from containers.serve.numbers import whole_number
from containers.serve.refused import Refused, quoted
from containers.serve.settings import MAX_MODEL_NAME, MAX_MODEL_URL, MAX_PAGE

_MAX_BODY_BYTES = 65_536
_FORM = '{"model_name": "...", "url": "..."}'


class ModelRoutes:
    """What is asked about models. All calls come from one event loop."""

    def __init__(self, models: Models) -> None:
        self._models = models

    async def load(self, request: Request) -> Response:
        """Answers when the model is loaded and warm. Raises Refused."""
        name, url = _parse(await read_body(request))
        await self._models.load(name, url)
        return JSONResponse(_shown(name, url))

    async def list(self, request: Request) -> Response:
        """A page of the models by name. The token of the next page is the last name. Raises Refused 400."""
        text = request.query_params.get("limit", str(MAX_PAGE))
        after = request.query_params.get("next_page_token", "")
        limit = min(whole_number(text) or 0, MAX_PAGE)
        if limit < 1:
            raise Refused(400, f"limit must be a whole number from 1, not {quoted(text)}.")
        found = [_shown(name, url) for name, url in self._models.urls().items() if name > after]
        more = {"nextPageToken": found[limit - 1]["modelName"]} if len(found) > limit else {}
        return JSONResponse({"models": found[:limit]} | more)

    async def describe(self, request: Request) -> Response:
        """The model. Raises Refused 404."""
        name = request.path_params["name"]
        return JSONResponse(_shown(name, self._models.url(name)))

    async def unload(self, request: Request) -> Response:
        """Answers when the model is gone. Raises Refused 404."""
        await self._models.unload(request.path_params["name"])
        return JSONResponse({})


class Invoke:
    """The ASGI application of POST /models/{name}/invoke. The model stays until the whole answer is sent."""

    def __init__(self, models: Models, service: Service) -> None:
        self._models = models
        self._service = service

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Called by Starlette. Raises Refused, MemoryError."""
        request = Request(scope, receive)
        with self._models.use(request.path_params["name"]) as model:
            response = await self._service.answer(model, request)
            await response(scope, receive, send)


def create_multi_model_app(models: Models, service: Service) -> FastAPI:
    """The application of a multi-model container, whose names of models may contain slashes."""
    app, routes = bare_app("GET /ping, or /models", {}), ModelRoutes(models)

    async def figures(_request: Request) -> Response:
        return service.metrics(None)

    app.add_route("/ping", service.ping, methods=["GET"])
    app.add_route("/metrics", figures, methods=["GET"])
    app.add_route("/models", routes.load, methods=["POST"])
    app.add_route("/models", routes.list, methods=["GET"])
    app.add_route("/models/{name:path}/invoke", Invoke(models, service), methods=["POST"])  # type: ignore[arg-type]
    app.add_route("/models/{name:path}", routes.describe, methods=["GET"])
    app.add_route("/models/{name:path}", routes.unload, methods=["DELETE"])
    app.exception_handler(MemoryError)(_answer_no_memory)
    return app


def _parse(body: bytes) -> tuple[str, str]:
    """The name and the url in a request to load a model. Raises Refused 400 or 413."""
    if len(body) > _MAX_BODY_BYTES:
        raise Refused(413, f"The body is larger than {_MAX_BODY_BYTES:,} bytes.")
    try:
        value = json.loads(body)
    except (ValueError, RecursionError):
        raise Refused(400, "The body is not valid JSON.") from None
    match value:
        case {"model_name": str() as name, "url": str() as url}:
            if not 1 <= len(name) <= MAX_MODEL_NAME or not name.isprintable():
                raise Refused(400, f"model_name must be 1 to {MAX_MODEL_NAME:,} printable characters.")
            if len(url) > MAX_MODEL_URL or not url.isprintable():
                raise Refused(400, f"url must be at most {MAX_MODEL_URL:,} printable characters.")
            return name, url
    raise Refused(400, f"The JSON must be {_FORM}.")


def _shown(name: str, url: str) -> dict[str, str]:
    return {"modelName": name, "modelUrl": url}


async def _answer_no_memory(_request: Request, _error: Any) -> Response:
    return JSONResponse({"error": "There is not enough memory to run the model."}, 507)

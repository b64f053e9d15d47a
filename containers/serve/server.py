"""Runs the HTTP server of a loaded model, or of a multi-model endpoint, until a signal.

It is a module of its own because it imports FastAPI and uvicorn, which take a third of a second: main.py imports it
while the engine reads its graph.
"""

import logging
import signal
from contextlib import ExitStack, closing
from dataclasses import replace
from functools import partial
from pathlib import Path

import uvicorn
from fastapi import FastAPI

from containers.serve.app import Service, create_app
from containers.serve.connections import Connections
from containers.serve.improver import Improver
from containers.serve.model import Model, memory_bytes
from containers.serve.models import Loader, Models
from containers.serve.multi_model import create_multi_model_app
from containers.serve.protocol import protocol_class
from containers.serve.settings import DRAIN_TIMEOUT_S, Limits, ServeSettings
from containers.serve.workers import Workers

_LOG = logging.getLogger("serve")


def serve(model: Model | None, settings: ServeSettings, limits: Limits) -> None:
    """Serves the model, or without one a multi-model endpoint, until SIGTERM or SIGINT; then it finishes its
    requests."""
    with ExitStack() as stack:
        workers = stack.enter_context(closing(Workers(settings.threads)))
        models = stack.enter_context(closing(_models(settings)))
        connections = Connections(settings.queue, limits)
        service = Service(workers, settings, connections.queue)
        if model:
            name = f"{model.card.backbone}, {len(model.card.classes)} classes,"
            app = create_app(model, service)
        else:
            name = f"models below {settings.models_dir}, {settings.models_memory_bytes:,} bytes of them at a time,"
            app = create_multi_model_app(models, service)
        _LOG.info("serving %s with %d threads on port %d", name, settings.threads, settings.port)
        if model and settings.engine == "auto":
            stack.enter_context(closing(Improver(model, settings, workers.idle_s)))
        _run(app, settings, connections)


def _models(settings: ServeSettings) -> Models:
    """No models yet. Each computes in the thread that runs it: threads for every model would be idle."""

    def load(folder: Path) -> Model:
        return Model.load(folder, 1, choice, keeps_buffers=False)

    choice = replace(settings.first_choice, streams=1)
    loader = Loader(load, partial(memory_bytes, engine=choice.name))
    return Models(settings.models_dir, settings.models_memory_bytes, loader)


def _run(app: FastAPI, settings: ServeSettings, connections: Connections) -> None:
    limits = connections.limits
    config = uvicorn.Config(
        app,
        host=settings.host,
        port=settings.port,
        loop="uvloop",
        http=protocol_class(connections),
        ws="none",
        lifespan="off",
        proxy_headers=False,  # nothing here asks for the client's address
        access_log=False,
        server_header=False,
        log_config=None,
        log_level=logging.WARNING,
        timeout_keep_alive=limits.idle_timeout_s,
        backlog=limits.connections,  # those that are accepted at once then fit into their pool
        timeout_graceful_shutdown=DRAIN_TIMEOUT_S,
    )
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: None)  # uvicorn finishes its requests, then raises the signal again to these
    uvicorn.Server(config).run()

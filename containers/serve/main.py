"""Starts the server and ends it as SageMaker expects: after SIGTERM it finishes its requests and exits with 0."""

import logging
import resource
import signal
import sys
from collections.abc import Mapping
from contextlib import ExitStack, closing
from dataclasses import replace
from functools import partial
from pathlib import Path

import uvicorn
from fastapi import FastAPI

from containers.serve.app import Service, create_app
from containers.serve.connections import Connections
from containers.serve.improver import Improver
from containers.serve.memory import return_free_memory
from containers.serve.model import Model, memory_bytes
from containers.serve.models import Loader, Models
from containers.serve.multi_model import create_multi_model_app
from containers.serve.protocol import protocol_class
from containers.serve.settings import DRAIN_TIMEOUT_S, Limits, ServeSettings
from containers.serve.workers import Workers
from ml.artifact import BadArtifact

_LOG = logging.getLogger("serve")
_SIGNALS = (signal.SIGTERM, signal.SIGINT)


def main(environ: Mapping[str, str], limits: Limits | None = None) -> int:
    """Serves until SIGTERM or SIGINT, then returns 0. Returns 1, after a sentence in the log, when the model or a
    setting cannot be used. `limits` follow from the number of files that the process may open, unless they are given.

    The port is bound only after the model is loaded and warm, so that a /ping before that fails. A multi-model server
    has no model at its start."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")
    for number in _SIGNALS:
        signal.signal(number, lambda *_: sys.exit(0))  # before the server runs, there are no requests to finish
    try:
        settings = ServeSettings.from_environment(environ)
        choice = settings.first_choice
        model = None if settings.is_multi_model else Model.load(settings.model_dir, settings.threads, choice)
    except (BadArtifact, MemoryError, ValueError) as error:
        _LOG.error("cannot serve: %s", error)
        return 1
    return_free_memory()
    _serve(model, settings, limits or Limits.for_open_files(_raise_open_files()))
    return 0


def _raise_open_files() -> int:
    """Lets this process open as many files as it may. Gives their number."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    number = hard if hard != resource.RLIM_INFINITY else max(soft, 4 * Limits.connections)
    resource.setrlimit(resource.RLIMIT_NOFILE, (number, hard))
    return number


def _serve(model: Model | None, settings: ServeSettings, limits: Limits) -> None:
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
    for number in _SIGNALS:
        signal.signal(number, lambda *_: None)  # uvicorn finishes its requests, then raises the signal again to these
    uvicorn.Server(config).run()

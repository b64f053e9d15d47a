"""Starts the server and ends it as SageMaker expects: after SIGTERM it finishes its requests and exits with 0."""

import logging
import resource
import signal
import sys
from collections.abc import Mapping

import uvicorn

from containers.serve.app import create_app
from containers.serve.connections import Connections
from containers.serve.model import Model
from containers.serve.protocol import protocol_class
from containers.serve.settings import DRAIN_TIMEOUT_S, Limits, ServeSettings
from containers.serve.workers import Workers
from ml.artifact import BadArtifact

_LOG = logging.getLogger("serve")
_SIGNALS = (signal.SIGTERM, signal.SIGINT)


def main(environ: Mapping[str, str], limits: Limits | None = None) -> int:
    """Serves until SIGTERM or SIGINT, then returns 0. Returns 1, after a sentence in the log, when the model or a
    setting cannot be used. `limits` follow from the number of files that the process may open, unless they are given.

    The port is bound only after the model is loaded and warm, so that a /ping before that fails."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")
    for number in _SIGNALS:
        signal.signal(number, lambda *_: sys.exit(0))  # before the server runs, there are no requests to finish
    try:
        settings = ServeSettings.from_environment(environ)
        model = Model.load(settings.model_dir, settings.threads, settings.engine)
    except (BadArtifact, ValueError) as error:
        _LOG.error("cannot serve: %s", error)
        return 1
    _serve(model, settings, limits or Limits.for_open_files(_raise_open_files()))
    return 0


def _raise_open_files() -> int:
    """Lets this process open as many files as it may. Gives their number."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    number = hard if hard != resource.RLIM_INFINITY else max(soft, 4 * Limits.connections)
    resource.setrlimit(resource.RLIMIT_NOFILE, (number, hard))
    return number


def _serve(model: Model, settings: ServeSettings, limits: Limits) -> None:
    workers = Workers(settings.threads)
    config = uvicorn.Config(
        create_app(model, workers, settings),
        host=settings.host,
        port=settings.port,
        loop="uvloop",
        http=protocol_class(Connections(settings.queue, limits)),
        ws="none",
        lifespan="off",
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
    classes, card = len(model.card.classes), model.card
    _LOG.info(
        "serving %s, %d classes, with %d threads on port %d", card.backbone, classes, settings.threads, settings.port
    )
    try:
        uvicorn.Server(config).run()
    finally:
        workers.close()

"""Starts the server and ends it as SageMaker expects: after SIGTERM it finishes its requests and exits with 0."""

import logging
import resource
import signal
import sys
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from importlib import import_module

from containers.serve.memory import return_free_memory
from containers.serve.model import Model
from containers.serve.settings import Limits, ServeSettings
from ml.artifact import BadArtifact

_LOG = logging.getLogger("serve")


def main(environ: Mapping[str, str], limits: Limits | None = None) -> int:
    """Serves until SIGTERM or SIGINT, then returns 0. Returns 1, after a sentence in the log, when the model or a
    setting cannot be used. `limits` follow from the number of files that the process may open, unless they are given.

    The port is bound only after the model is loaded and warm, so that a /ping before that fails. A multi-model server
    has no model at its start."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: sys.exit(0))  # before the server runs, there are no requests to finish
    try:
        settings = ServeSettings.from_environment(environ)
        model = None if settings.is_multi_model else _load(settings)
    except (BadArtifact, MemoryError, ValueError) as error:
        _LOG.error("cannot serve: %s", error)
        return 1
    return_free_memory()
    from containers.serve.server import serve  # not before the model: _load() says why

    serve(model, settings, limits or Limits.for_open_files(_raise_open_files()))
    return 0


def _load(settings: ServeSettings) -> Model:
    """The model. An engine reads its graph without the interpreter's lock: FastAPI is imported in the same time. Raises
    BadArtifact, MemoryError."""
    with ThreadPoolExecutor(1) as pool:
        loading = pool.submit(Model.load, settings.model_dir, settings.threads, settings.first_choice)
        import_module("containers.serve.server")
        return loading.result()


def _raise_open_files() -> int:
    """Lets this process open as many files as it may. Gives their number."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    number = hard if hard != resource.RLIM_INFINITY else max(soft, 4 * Limits.connections)
    resource.setrlimit(resource.RLIMIT_NOFILE, (number, hard))
    return number

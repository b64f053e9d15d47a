"""What Python's garbage collector looks at in LocalStack's process.

A full collection looks at every object, and no thread runs meanwhile. Most objects of LocalStack are its code and
models, which live as long as the process: to look at them takes half a second, and finds nothing.
"""

import atexit
import gc
from typing import Any

from localstack.aws import handlers
from localstack.aws.api import RequestContext


def install() -> None:
    """Once. At the end all is passed over: else the interpreter looks for garbage, for 5 s, before it ends."""
    handlers.run_custom_response_handlers.append(make_handler())
    atexit.register(gc.freeze)


def make_handler() -> Any:
    """A handler of responses that has the collector pass over all that is there after the first answer of each service,
    which loaded it. What is passed over is still freed when nothing refers to it."""
    answered: set[str] = set()

    def freeze_loaded(chain: Any, context: RequestContext, response: Any) -> None:  # noqa: ARG001 - as it is called
        name = context.service.service_name if context.service else None
        if name is not None and name not in answered:
            answered.add(name)
            gc.freeze()

    return freeze_loaded

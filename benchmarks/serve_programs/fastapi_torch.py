"""The server that many write first: FastAPI and PyTorch, plainly, with two workers of one thread each.

`python fastapi_torch.py <backbone> <port>`: POST /invocations with a JPEG answers 133 logits.
"""

import sys

import uvicorn
from fastapi import FastAPI, Request
from fastapi.concurrency import run_in_threadpool

from benchmarks.serve_programs.photo_model import WORKERS, PhotoModel


def create() -> FastAPI:
    """The application, in each worker."""
    model, app = PhotoModel(sys.argv[1]), FastAPI()

    @app.post("/invocations")
    async def invocations(request: Request) -> list[list[float]]:
        return await run_in_threadpool(model.logits, await request.body())

    return app


if __name__ == "__main__":
    uvicorn.run(
        "benchmarks.serve_programs.fastapi_torch:create",
        factory=True,
        workers=WORKERS,
        port=int(sys.argv[2]),
        log_level="warning",
        timeout_worker_healthcheck=120,  # uvicorn ends a worker that imports for longer
    )

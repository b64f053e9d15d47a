"""Ray Serve and PyTorch: two replicas of one thread each, behind its proxy.

`python ray_torch.py <backbone> <port>`: POST /invocations with a JPEG answers 133 logits.
"""

import signal
import sys
import threading

import ray
from ray import serve
from starlette.requests import Request

from benchmarks.serve_programs.photo_model import WORKERS, PhotoModel


@serve.deployment(num_replicas=WORKERS, max_ongoing_requests=8, ray_actor_options={"num_cpus": 1})
class Photos:
    """What Ray runs in each replica."""

    def __init__(self, backbone: str) -> None:
        self.model = PhotoModel(backbone)

    async def __call__(self, request: Request) -> list[list[float]]:
        """The logits of one photo."""
        return self.model.logits(await request.body())


if __name__ == "__main__":
    ended = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: ended.set())
    ray.init(num_cpus=WORKERS, include_dashboard=False, log_to_driver=False)
    serve.start(http_options={"host": "127.0.0.1", "port": int(sys.argv[2])})
    serve.run(Photos.bind(sys.argv[1]), route_prefix="/invocations")  # type: ignore[attr-defined]  # the decorator is untyped
    ended.wait()
    ray.shutdown()

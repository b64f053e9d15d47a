"""LitServe and PyTorch: two workers of one thread each, which take photos from its fast queue.

`python litserve_torch.py <backbone> <port>`: POST /invocations with a JPEG answers 133 logits.
"""

import sys
from typing import Annotated

import litserve
from fastapi import Body

from benchmarks.serve_programs.photo_model import WORKERS, PhotoModel


class PhotoApi(litserve.LitAPI):  # type: ignore[misc] # untyped
    """What LitServe calls in each worker."""

    def setup(self, _device: str) -> None:
        """Called once in each worker."""
        self.model = PhotoModel(sys.argv[1])

    def decode_request(self, request: Annotated[bytes, Body()]) -> bytes:
        """The photo. By its type LitServe takes the body as it is."""
        return request

    def predict(self, photo: bytes) -> list[list[float]]:
        """The logits of one photo."""
        return self.model.logits(photo)

    def encode_response(self, output: list[list[float]]) -> list[list[float]]:
        """The answer's JSON."""
        return output


if __name__ == "__main__":
    server = litserve.LitServer(
        PhotoApi(api_path="/invocations"), accelerator="cpu", workers_per_device=WORKERS, fast_queue=True, timeout=120
    )
    server.run(host="127.0.0.1", port=int(sys.argv[2]), log_level="warning", generate_client_file=False)

"""mosec and PyTorch: its server in Rust, and two workers of one thread each.

`python mosec_torch.py <backbone> <port>`: POST /invocations with a JPEG answers 133 logits.
"""

import os
import sys

from mosec import Runtime, Server, Worker

from benchmarks.serve_programs.photo_model import WORKERS, PhotoModel


class Photos(Worker):  # type: ignore[misc]  # untyped
    """What mosec runs in each process."""

    def __init__(self) -> None:
        super().__init__()
        self.model = PhotoModel(os.environ["BACKBONE"])

    def deserialize(self, data: bytes) -> bytes:
        """The body is the photo."""
        return data

    def forward(self, data: bytes) -> list[list[float]]:
        """The logits of one photo."""
        return self.model.logits(data)


if __name__ == "__main__":
    os.environ |= {
        "BACKBONE": sys.argv[1],
        "MOSEC_PORT": sys.argv[2],
        "MOSEC_ADDRESS": "127.0.0.1",
        "MOSEC_TIMEOUT": "120000",
    }
    server = Server()
    server.register_runtime({"/invocations": [Runtime(Photos, num=WORKERS)]})
    server.run()

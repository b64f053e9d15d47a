"""TorchServe and PyTorch: its server in Java, and two workers of one thread each.

`python torchserve_torch.py <backbone> <port>`: POST /predictions/model with a JPEG answers 133 logits. TorchServe also
imports this file, as the handler of its workers.
"""

import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from benchmarks.serve_programs.photo_model import WORKERS, PhotoModel


class Handler:
    """What TorchServe runs in each worker."""

    def initialize(self, _context: Any) -> None:
        """Called once in each worker."""
        self.model = PhotoModel(os.environ["BACKBONE"])

    def handle(self, data: list[dict[str, bytearray]], _context: Any) -> list[list[list[float]]]:
        """The answers to a batch of photos."""
        return [self.model.logits(bytes(request["body"])) for request in data]


def start(folder: Path, model: Path, port: int, properties: dict[str, str]) -> None:
    """Becomes the server of TorchServe in the foreground, with `folder` for its files. `model` is an archive or a
    folder; `properties` are added to its configuration."""
    (folder / "logs").mkdir()
    inner = {name: f"http://127.0.0.1:{port + number}" for number, name in enumerate(("inference", "management"))}
    configuration = {f"{name}_address": address for name, address in inner.items()} | {
        "metrics_address": f"http://127.0.0.1:{port + 2}",
        "default_workers_per_model": str(WORKERS),
        "disable_token_authorization": "true",
        "job_queue_size": "1000",
        "model_store": str(folder),
        "load_models": f"model={model}",
        "vmargs": f"-Djava.io.tmpdir={folder}",  # the sockets of its workers, which another TorchServe would take
    }
    lines = [f"{name}={value}" for name, value in (configuration | properties).items()]
    (folder / "config.properties").write_text("\n".join(lines) + "\n")
    os.environ |= {
        "LOG_LOCATION": str(folder / "logs"),
        "METRICS_LOCATION": str(folder / "logs"),
        "TMPDIR": str(folder),
    }
    command = ["torchserve", "--start", "--foreground", "--ncs", "--ts-config", str(folder / "config.properties")]
    os.chdir(folder)
    os.execve(Path(sys.executable).with_name(command[0]), command, os.environ)  # noqa: S606


if __name__ == "__main__":
    made = Path(tempfile.mkdtemp(prefix="stagemaker-torchserve-"))
    os.environ["BACKBONE"] = sys.argv[1]
    os.environ["PATH"] = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    archiver = [str(Path(sys.executable).with_name("torch-model-archiver")), "--model-name", "model", "--version", "1"]
    subprocess.run([*archiver, "--handler", __file__, "--export-path", str(made)], check=True)
    start(made, made / "model.mar", int(sys.argv[2]), {})

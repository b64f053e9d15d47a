"""BentoML and PyTorch: two workers of one thread each.

`python bentoml_torch.py <backbone> <port>`: POST /invocations with a JPEG answers 133 logits.
"""

import os
import sys
from pathlib import Path
from typing import Annotated

import bentoml
from bentoml.validators import ContentType

from benchmarks.serve_programs.photo_model import WORKERS, PhotoModel


@bentoml.service(workers=WORKERS, traffic={"timeout": 120})
class Photos:
    """What BentoML runs in each worker."""

    def __init__(self) -> None:
        self.model = PhotoModel(os.environ["BACKBONE"])

    @bentoml.api(route="/invocations")  # type: ignore[untyped-decorator]
    def invocations(self, photo: Annotated[Path, ContentType("image/jpeg")], /) -> list[list[float]]:
        """The logits of one photo, which BentoML hands on as a file."""
        return self.model.logits(photo.read_bytes())


if __name__ == "__main__":
    program = str(Path(sys.executable).with_name("bentoml"))
    place = ["--host", "127.0.0.1", "--port", sys.argv[2]]
    command = [program, "serve", *place, "benchmarks.serve_programs.bentoml_torch:Photos"]
    os.execve(program, command, os.environ | {"BACKBONE": sys.argv[1]})  # noqa: S606

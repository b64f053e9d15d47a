"""Asks the endpoint what is in a photo, and shows its five best labels: the smallest use of a deployment."""

import json
from pathlib import Path

from infra.clients import Target, connect
from infra.data.layout import MAX_BYTES
from infra.errors import StepFailed
from infra.terminal import Terminal
from infra.typed import make
from ml.photos import CONTENT_TYPES

HOW_TO_NAME_A_PHOTO = f"IMAGE=<file ending in {', '.join(CONTENT_TYPES)}>"
_HOW = f"{make('invoke')} {HOW_TO_NAME_A_PHOTO}"


def show_labels(image: Path | None, endpoint: str, target: Target, region: str, terminal: Terminal) -> None:
    """Ask the endpoint, and show its labels in a table. Raises StepFailed for a file that is no photo, and for a photo
    that the endpoint refuses."""
    path, content_type = read_photo(image, _HOW)
    runtime = connect(target, region).runtime
    try:
        answer = runtime.invoke_endpoint(
            EndpointName=endpoint, ContentType=content_type, Accept="application/json;top-k=5", Body=path.read_bytes()
        )
    except runtime.exceptions.ModelError as error:
        raise StepFailed(f"The endpoint refused it: {error.response['OriginalMessage']}", _HOW) from None
    best = json.loads(answer["Body"].read())[0]
    rows: list[tuple[str, ...]] = [(one["label"], f"{one['probability']:.1%}") for one in best]
    terminal.table(path.name, ("Label", "Probability"), rows)


def read_photo(image: Path | None, next_step: str) -> tuple[Path, str]:
    """The file and its content type. Raises StepFailed with `next_step` for none, and for a file that is no photo."""
    if image is None:
        raise StepFailed("No photo was named.", next_step)
    if not image.is_file():
        raise StepFailed(f"There is no file {image}.", next_step)
    content_type = CONTENT_TYPES.get(image.suffix.lower())
    if content_type is None:
        raise StepFailed(f"{image} is no photo.", next_step)
    if not 0 < (size := image.stat().st_size) <= MAX_BYTES:
        raise StepFailed(f"{image} has {size:,} bytes; an endpoint takes 1 to {MAX_BYTES:,}.", next_step)
    return image, content_type

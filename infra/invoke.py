"""`make invoke IMAGE=<photo>`: asks the endpoint what is in a photo, and shows its five best labels."""

import argparse
import json
import os
import sys
from pathlib import Path

from infra import command
from infra.clients import connect
from infra.errors import StepFailed
from infra.plan import CONTENT_TYPES, MAX_BYTES
from infra.settings import Settings
from infra.terminal import Terminal

_HOW = f"make invoke IMAGE=<file ending in {', '.join(CONTENT_TYPES)}>"


def run(image: Path | None, endpoint: str, region: str, terminal: Terminal) -> None:
    """Show the table. Raises StepFailed for a file that is no photo."""
    if image is None:
        raise StepFailed("No photo was named.", _HOW)
    if not image.is_file():
        raise StepFailed(f"There is no file {image}.", _HOW)
    kind = CONTENT_TYPES.get(image.suffix.lower())
    if kind is None:
        raise StepFailed(f"{image} is no photo.", _HOW)
    photo = image.read_bytes()
    if not 0 < len(photo) <= MAX_BYTES:
        raise StepFailed(f"{image} has {len(photo):,} bytes; an endpoint takes 1 to {MAX_BYTES:,}.", _HOW)
    runtime = connect("local", region).runtime
    try:
        answer = runtime.invoke_endpoint(
            EndpointName=endpoint, ContentType=kind, Accept="application/json;top-k=5", Body=photo
        )
    except runtime.exceptions.ModelError as error:
        raise StepFailed(f"The endpoint refused it: {error.response['OriginalMessage']}", _HOW) from None
    best = json.loads(answer["Body"].read())[0]
    rows: list[tuple[str, ...]] = [(one["label"], f"{one['probability']:.1%}") for one in best]
    terminal.table(image.name, ("Label", "Probability"), rows)


def main(arguments: list[str] | None = None) -> int:
    """`python -m infra.invoke <photo>`: 0 when the endpoint answered, 1 otherwise."""
    parser = argparse.ArgumentParser(prog="python -m infra.invoke", description=__doc__)
    parser.add_argument("image", type=Path, nargs="?", default=os.environ.get("IMAGE") or None, help="default: $IMAGE")
    parser.add_argument("--endpoint", default=Settings().project, help="default: %(default)s")
    parser.add_argument("--region", default=Settings().region, help="default: %(default)s")
    options, terminal = parser.parse_args(arguments), Terminal()
    return command.run(
        lambda _: run(options.image, options.endpoint, options.region, terminal), terminal,
        next_step="Is there an endpoint? `make deploy-local` makes it.", interrupted="Interrupted.",
    )  # fmt: skip


if __name__ == "__main__":
    sys.exit(main())

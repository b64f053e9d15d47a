"""`make invoke IMAGE=<photo>`: asks the endpoint what is in a photo, and shows its five best labels."""

import argparse
import json
import os
import sys
from pathlib import Path

from botocore.exceptions import BotoCoreError, ClientError

from infra.clients import connect
from infra.errors import StepFailed
from infra.plan import CONTENT_TYPES
from infra.settings import Settings
from infra.terminal import Terminal


def run(image: Path, endpoint: str, region: str, terminal: Terminal) -> None:
    """Show the table. Raises StepFailed for a file that is no photo."""
    kind = CONTENT_TYPES.get(image.suffix.lower())
    if kind is None or not image.is_file():
        raise StepFailed(f"{image} is no photo.", f"make invoke IMAGE=<file ending in {', '.join(CONTENT_TYPES)}>")
    runtime = connect("local", region).runtime
    answer = runtime.invoke_endpoint(
        EndpointName=endpoint, ContentType=kind, Accept="application/json;top-k=5", Body=image.read_bytes()
    )
    best = json.loads(answer["Body"].read())[0]
    rows: list[tuple[str, ...]] = [(one["label"], f"{one['probability']:.1%}") for one in best]
    terminal.table(str(image), ("Label", "Probability"), rows)


def main(arguments: list[str] | None = None) -> int:
    """`python -m infra.invoke <photo>`: 0 when the endpoint answered, 1 otherwise."""
    parser = argparse.ArgumentParser(prog="python -m infra.invoke", description=__doc__)
    parser.add_argument("image", type=Path, nargs="?", default=os.environ.get("IMAGE") or None, help="default: $IMAGE")
    parser.add_argument("--endpoint", default=Settings().project, help="default: %(default)s")
    parser.add_argument("--region", default=Settings().region, help="default: %(default)s")
    options, terminal = parser.parse_args(arguments), Terminal()
    try:
        run(options.image or Path(), options.endpoint, options.region, terminal)
    except StepFailed as error:
        terminal.failure(error)
        return 1
    except (BotoCoreError, ClientError) as error:
        terminal.failure(StepFailed(str(error), "Is there an endpoint? `make deploy-local` makes it."))
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())

"""`make push`: the images that `make build` made go to ECR, the stack's or AWS's, by the same calls. `destroy` deletes
their repositories again.

Each is pushed under its git revision and under `latest`; layers that the registry has are not sent again.
"""

import argparse
import base64
import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from infra import command, compose, docker
from infra.clients import Clients, connect
from infra.errors import StepFailed
from infra.resources.repository import destroy_repository, ensure_repository
from infra.settings import Settings
from infra.terminal import Terminal

PREFIX = "stagemaker/"
ALWAYS = ("trainer", "serve", "lambda")
OPTIONAL = ("serve-gpu",)  # pushed when it was built
NAMES = (*ALWAYS, *OPTIONAL)
TAGS = [{"Key": "stagemaker:image", "Value": "true"}]
_REVISION = "org.opencontainers.image.revision"
_TAG = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}")
_LOGIN_LIMIT_S = 60.0


@dataclass(frozen=True)
class Pushed:
    """An image as ECR describes it; `tags` are those it was pushed under."""

    name: str
    uri: str
    tags: tuple[str, ...]
    digest: str
    size_bytes: int


def tags_of(image: Mapping[str, Any]) -> tuple[str, ...]:
    """The tags for an image as `docker inspect` tells it: the revision that its label names, and `latest`."""
    revision = (image["Config"].get("Labels") or {}).get(_REVISION, "unknown")
    return (revision, "latest") if _TAG.fullmatch(revision) and revision not in ("unknown", "latest") else ("latest",)


def chosen(names: list[str]) -> dict[str, tuple[str, ...]]:
    """The images to push with their tags: those that are named, else all. StepFailed for one that is not built."""
    found = {}
    for name in names or NAMES:
        image = docker.inspect("image", f"{PREFIX}{name}:latest")
        if image is not None:
            found[name] = tags_of(image)
        elif names or name in ALWAYS:
            raise StepFailed(f"There is no image {PREFIX}{name}:latest.", f"Build it: scripts/build {name}")
    return found


@contextmanager
def logged_in(ecr: Any) -> Iterator[dict[str, str]]:
    """The environment in which `docker` may push; the password lies in a folder that is gone at the end, and the
    user's own settings are not touched. StepFailed when the registry does not take it."""
    data = ecr.get_authorization_token()["authorizationData"][0]
    user, _, password = base64.b64decode(data["authorizationToken"]).decode().partition(":")
    # Another settings folder would hide which engine the user has chosen.
    engine = os.environ.get("DOCKER_HOST") or docker.ask("context", "inspect", "--format", "{{.Endpoints.docker.Host}}")
    with tempfile.TemporaryDirectory(prefix="stagemaker-login-") as folder:
        environment = {name: value for name, value in os.environ.items() if name != "DOCKER_CONTEXT"}
        environment |= {"DOCKER_CONFIG": folder, "DOCKER_HOST": engine}
        command = ["docker", "login", "--username", user, "--password-stdin", data["proxyEndpoint"]]
        try:
            done = subprocess.run(
                command, input=password, env=environment, capture_output=True, text=True, timeout=_LOGIN_LIMIT_S,
                check=False,
            )  # fmt: skip
            said = tuple(done.stderr.strip().splitlines()[-3:])
        except subprocess.TimeoutExpired:
            done, said = None, ()
        if done is None or done.returncode:
            raise StepFailed(
                f"The registry at {data['proxyEndpoint']} does not let us in, or does not answer.",
                "See whether it runs (`docker compose ps registry`; on AWS: your network), and run this again.",
                said,
            )
        yield environment


def push(clients: Clients, names: list[str], terminal: Terminal) -> list[Pushed]:
    """Make the repositories, push the images, and read back what ECR has. Raises StepFailed."""
    images = chosen(names)
    result = []
    with logged_in(clients.ecr) as environment:
        for name, tags in images.items():
            with terminal.step(f"{PREFIX}{name}") as done:
                change, uri = ensure_repository(clients.ecr, PREFIX + name, TAGS)
                for tag in tags:
                    _push(f"{PREFIX}{name}:latest", f"{uri}:{tag}", environment)
                result.append(_describe(clients.ecr, name, uri, tags))
                done.result = f"{uri}:{tags[0]} (repository {change})"
    return result


def destroy(clients: Clients, names: list[str], terminal: Terminal) -> int:
    """Delete the repositories with their images; how many were there."""
    gone = [name for name in names or NAMES if destroy_repository(clients.ecr, PREFIX + name)]
    for name in gone:
        terminal.say(f"deleted: repository {PREFIX}{name}")
    return len(gone)


def _push(image: str, remote: str, environment: Mapping[str, str]) -> None:
    docker.ask("tag", image, remote)
    if subprocess.run(["docker", "push", remote], env=environment, check=False).returncode:
        raise StepFailed(
            f"{remote} was not pushed.",
            "Read what docker says above. If the registry stopped (`docker compose ps registry`), start it, and run "
            "this again: what was sent is not sent again.",
        )


def _describe(ecr: Any, name: str, uri: str, tags: tuple[str, ...]) -> Pushed:
    image = ecr.describe_images(repositoryName=PREFIX + name, imageIds=[{"imageTag": tags[0]}])["imageDetails"][0]
    return Pushed(name, uri, tags, image["imageDigest"], image["imageSizeInBytes"])


def _show(pushed: list[Pushed], terminal: Terminal) -> None:
    rows: list[tuple[str, ...]] = [
        (f"{image.uri}:{image.tags[0]}", image.digest, f"{image.size_bytes / 1e6:,.1f} MB compressed")
        for image in pushed
    ]
    terminal.table("Pushed", ("Image", "Digest", "Size"), rows)


def main(arguments: list[str] | None = None) -> int:
    """`python -m infra.images push|destroy --target local|aws [names]`: 0 when done, 1 when not, 130 on Ctrl-C."""
    default = Settings()
    parser = argparse.ArgumentParser(prog="python -m infra.images", description=__doc__)
    parser.add_argument("command", choices=("push", "destroy"))
    parser.add_argument("names", nargs="*", help=f"such as trainer (default: {', '.join(ALWAYS)})")
    parser.add_argument("--target", choices=("local", "aws"), default="local", help="where (default: %(default)s)")
    parser.add_argument("--build", action="store_true", help="build what is pushed first")
    region = os.environ.get("AWS_DEFAULT_REGION") or default.region
    parser.add_argument("--region", default=region, help="default: $AWS_DEFAULT_REGION, else us-east-1")
    options, terminal = parser.parse_intermixed_args(arguments), Terminal()
    return command.run(
        lambda _: _run(options, terminal), terminal,
        next_step=_next_step(options.target),
        interrupted="Interrupted. Run it again: layers that were sent whole are not sent again.",
    )  # fmt: skip


def _run(options: argparse.Namespace, terminal: Terminal) -> None:
    if options.command == "push":
        docker.check()
        clients = connect(options.target, options.region)  # before a build of minutes
        if options.build:
            compose.build(*(options.names or NAMES))
        _show(push(clients, options.names, terminal), terminal)
    elif not destroy(connect(options.target, options.region), options.names, terminal):
        terminal.say("Nothing was there to delete.")


def _next_step(target: str) -> str:
    if target == "local":
        return "Does the stack run in containers? `make status` says; `make up` starts it."
    return "Check your AWS credentials, and that they allow ecr:*Repository*, ecr:*Image* and ecr:*Layer*."


if __name__ == "__main__":
    sys.exit(main())

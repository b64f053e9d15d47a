"""Runs of `python -m infra ... --target aws` as a user's shell runs them, in a process of their own, against the
pretended AWS; and what they need there: images in the account's registry.

    code, said = run(aws, "deploy", "--data", str(folder), "--project", "mine")
"""

import hashlib
import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from infra.manifests import SCHEMA_2
from infra.paths import CHECKOUT, paths
from tests.aws.backends import Moto, OneServiceElsewhere
from tests.aws.pretended_aws import Call, PretendedAws
from tests.commands import ended

PYTHON = paths({}).environments / "client" / "bin" / "python"
LIMIT_S = 300.0
TAG = "0123abc"  # a commit's
SETTINGS = {"COLUMNS": "300", "PYTHONDONTWRITEBYTECODE": "1", "IMAGE_TAG": TAG}
PRESET = """
version = 1
[[models]]
[models.endpoint.scaling]
min_instances = 1
max_instances = 3
target = 50
[function]
reserved = 3
"""
UNCHANGED = "Nothing changed: all is as planned."
READING = ("BatchGet", "Describe", "Get", "Head", "List")


def start(aws: PretendedAws, *arguments: str, **environment: str) -> "subprocess.Popen[str]":
    """The command, running, with nothing of the user's own AWS settings. What it says comes on stdout."""
    kept = {name: os.environ[name] for name in ("PATH", "HOME", "LANG") if name in os.environ}
    return subprocess.Popen(
        [str(PYTHON), "-m", "infra", *arguments, "--target", "aws"],
        cwd=CHECKOUT,
        env=kept | aws.environment() | SETTINGS | environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def run(aws: PretendedAws, *arguments: str, **environment: str) -> tuple[int, str]:
    """The exit code of the command, and all that it said."""
    return ended(start(aws, *arguments, **environment), LIMIT_S)


def document(said: str) -> Any:
    """The JSON document in what a command said, which begins and ends with a line of its own."""
    return json.loads("{" + said.partition("\n{\n")[2].partition("\n}\n")[0] + "}")


def changing(aws: PretendedAws) -> list[Call]:
    """The calls since the log was emptied that are not for reading."""
    return [call for call in aws.calls() if not call.operation.startswith(READING)]


def make_digits(folder: Path, classes: int = 2, per_class: int = 18) -> Path:
    """A data set of some pictures of some digits, written by the environment that has scikit-learn; its folder."""
    program = f"import pathlib, sys; from infra.data import digits; digits.make(pathlib.Path(sys.argv[1]), {per_class})"
    subprocess.run([str(PYTHON), "-c", program, str(folder)], cwd=CHECKOUT, check=True, timeout=LIMIT_S)
    for split in folder.iterdir():
        for other in sorted(split.iterdir())[classes:]:
            shutil.rmtree(other)
    return folder


@contextmanager
def pushed_images(aws: PretendedAws, *names: str) -> Iterator[None]:
    """The account's registry has these images, by TAG and `latest`. It is moto's, whose records need no registry
    service; the process runtime of the stage runs its own programs by the names of the images."""
    before, aws.backend = aws.backend, OneServiceElsewhere(aws.backend, "api.ecr.", Moto())
    try:
        for name in names:
            aws.client("ecr").create_repository(repositoryName=f"stagemaker/{name}")
            put_image(aws, name, TAG, "latest")
        yield
    finally:
        aws.backend = before


def put_image(aws: PretendedAws, name: str, *tags: str, layer: str = "", label: str = "") -> str:
    """Put an image into its repository; its digest. What `layer` says is in its layer, what `label` says is not."""
    blobs = [f"{name} layer {layer}".encode(), f"{name} labels {label}".encode()]
    layers, config = ({"size": len(blob), "digest": _digest(blob)} for blob in blobs)
    manifest: dict[str, Any] = {
        "schemaVersion": 2,
        "mediaType": SCHEMA_2,
        "config": {"mediaType": "application/vnd.docker.container.image.v1+json", **config},
        "layers": [{"mediaType": "application/vnd.docker.image.rootfs.diff.tar.gzip", **layers}],
    }
    text = json.dumps(manifest)
    for tag in tags:
        aws.client("ecr").put_image(repositoryName=f"stagemaker/{name}", imageManifest=text, imageTag=tag)
    return _digest(text.encode())


def _digest(content: bytes) -> str:
    return f"sha256:{hashlib.sha256(content).hexdigest()}"

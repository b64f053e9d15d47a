"""What came of a run on an EC2 host: what it wrote to S3, its metrics, and the digest of the weights. Reads only."""

import hashlib
import json
import re
import tarfile
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from infra.errors import StepFailed
from infra.resources.resource import find

COMPLETED = "Completed"
WEIGHTS = "model.safetensors"
_CHUNK_BYTES = 1 << 20
_MAX_RESULT_BYTES = 1 << 16
MAX_LOG_BYTES = 16 << 20  # (ours) more of a host's log is not read


@dataclass(frozen=True)
class Result:
    """What the host says of itself at its end. `why` is empty when it completed; times are seconds, `host_s` from the
    start of its script."""

    status: str
    why: str
    instance_id: str
    life_cycle: str
    gpu: bool
    training_s: int
    host_s: int


def read_result(s3: Any, results: str, instance_id: str = "") -> Result | None:
    """That of an instance, or that of the run once it completed. None where there is none. Raises StepFailed for one
    that cannot be read."""
    folder = f"{results}/{instance_id}" if instance_id else results
    content = read_text(s3, f"{folder}/result.json", _MAX_RESULT_BYTES)
    if content is None:
        return None
    why = read_text(s3, f"{folder}/why", _MAX_RESULT_BYTES) if instance_id else None
    try:
        return Result(why=why or "", **json.loads(content))
    except (ValueError, TypeError) as error:
        raise StepFailed(f"{folder}/result.json cannot be read: {error}.", "Delete it, and run this again.") from None


def metrics(lines: Iterable[str], regexes: Mapping[str, str]) -> dict[str, float]:
    """The last value of each metric, by the regexes of the training job's metric definitions."""
    found = dict[str, float]()
    for line in lines:
        for name, regex in regexes.items():
            if match := re.search(regex, line):
                found[name] = float(match[1])
    return found


def weights_sha256(s3: Any, archive: str) -> str | None:
    """The SHA-256, in hex, of the weights in a model.tar.gz on S3; None where there is no such archive. Raises
    StepFailed for an archive without weights."""
    found = find(s3.get_object, **location(archive))
    if found is None:
        return None
    with tarfile.open(fileobj=found["Body"], mode="r|gz") as tar:
        for member in tar:
            content = tar.extractfile(member) if member.name.removeprefix("./") == WEIGHTS else None
            if content:
                digest = hashlib.sha256()
                while chunk := content.read(_CHUNK_BYTES):
                    digest.update(chunk)
                return digest.hexdigest()
    raise StepFailed(f"{archive} has no {WEIGHTS}.", "Is it a model of this trainer?")


def location(uri: str) -> dict[str, str]:
    """Bucket and Key of an S3 URI."""
    parts = urlsplit(uri)
    return {"Bucket": parts.netloc, "Key": parts.path.removeprefix("/")}


def read_text(s3: Any, uri: str, limit_bytes: int = MAX_LOG_BYTES) -> str | None:
    """The text of an object, up to so many bytes; None where there is none."""
    found = find(s3.get_object, **location(uri))
    return bytes(found["Body"].read(limit_bytes)).decode(errors="replace") if found else None

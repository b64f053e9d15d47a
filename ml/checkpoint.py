"""Keeps the training state on disk, so that an interrupted job continues where it stopped.

One safetensors file holds the tensors and, as JSON in its header, the rest of the state. So a reader, or the copy in
S3, which is replaced object by object, sees either the old state or the new one, never a mixture.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import Tensor

from ml import tensor_file
from ml.errors import JobError

FILE = "checkpoint.safetensors"
FORMAT = "stagemaker-checkpoint/1"


class CheckpointError(JobError):
    """The job cannot continue from the checkpoint; the message is one clear sentence that says why."""


@dataclass(frozen=True)
class Checkpoint:
    """`state` is what is not a tensor, fit for JSON. `identity` names the job by hyperparameters, data and weights."""

    tensors: Mapping[str, Tensor]
    state: Mapping[str, Any]
    identity: Mapping[str, str]


def save(folder: Path, checkpoint: Checkpoint) -> None:
    """Replaces the checkpoint in `folder` in one step, after the new file is complete on disk."""
    header = {"format": FORMAT, "state": json.dumps(checkpoint.state), "identity": json.dumps(checkpoint.identity)}
    tensor_file.write(folder / FILE, checkpoint.tensors, header)


def load(folder: Path, identity: Mapping[str, str]) -> Checkpoint | None:
    """The checkpoint in `folder`, None if there is none. Raises CheckpointError if it is broken or of another job."""
    path = folder / FILE
    if not path.is_file():
        return None
    try:
        header, tensors = tensor_file.read(path)
    except tensor_file.BrokenFile as error:
        raise CheckpointError(f"The checkpoint {FILE} is broken ({error}): remove it to start again.") from error
    if header.get("format") != FORMAT:
        raise CheckpointError(f"The checkpoint {FILE} has format {header.get('format')!r}, not {FORMAT!r}.")
    found = json.loads(header["identity"])
    if different := [name for name in sorted({*found, *identity}) if found.get(name) != identity.get(name)]:
        name = different[0]
        raise CheckpointError(
            f"The checkpoint is of another job: its {name} is {found.get(name)!r}, not {identity.get(name)!r}; "
            "give this job another checkpoint folder."
        )
    return Checkpoint(tensors, json.loads(header["state"]), found)

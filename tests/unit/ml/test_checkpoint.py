"""A checkpoint is loaded as it was saved, and is refused when it is broken or of another job."""

from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from ml.checkpoint import FILE, Checkpoint, CheckpointError, load, save

TENSORS = {"a": torch.randn(3, 2), "step": torch.tensor(4.0)}
IDENTITY = {"seed": "0", "data digest": "sha256:1"}
CHECKPOINT = Checkpoint(TENSORS, {"epoch": 2, "loss": 0.1 + 0.2}, IDENTITY)


def test_round_trip_leaves_one_file(tmp_path: Path) -> None:
    folder = tmp_path / "new"
    save(folder, Checkpoint({}, {"epoch": 1}, IDENTITY))
    save(folder, CHECKPOINT)
    found = load(folder, IDENTITY)
    assert found is not None
    assert found.state == CHECKPOINT.state
    assert all(torch.equal(found.tensors[name], TENSORS[name]) for name in TENSORS)
    assert [path.name for path in folder.iterdir()] == [FILE]
    assert (folder / FILE).stat().st_mode & 0o044 == 0o044


def test_load_gives_none_without_a_checkpoint(tmp_path: Path) -> None:
    assert load(tmp_path, IDENTITY) is None


def test_a_checkpoint_of_another_job_is_refused(tmp_path: Path) -> None:
    save(tmp_path, CHECKPOINT)
    with pytest.raises(CheckpointError, match="of another job: its seed is '0', not '1'; give this job another"):
        load(tmp_path, IDENTITY | {"seed": "1"})


@pytest.mark.parametrize("size", [0, 5, 100])
def test_a_truncated_checkpoint_is_refused(tmp_path: Path, size: int) -> None:
    save(tmp_path, CHECKPOINT)
    (tmp_path / FILE).write_bytes((tmp_path / FILE).read_bytes()[:size])
    with pytest.raises(CheckpointError, match="is broken"):
        load(tmp_path, IDENTITY)


def test_a_file_of_another_format_is_refused(tmp_path: Path) -> None:
    save_file(TENSORS, tmp_path / FILE)
    with pytest.raises(CheckpointError, match="has format None"):
        load(tmp_path, IDENTITY)

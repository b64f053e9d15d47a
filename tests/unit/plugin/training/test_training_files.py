"""The files of a training job."""

import tarfile
from pathlib import Path

from stagemaker.training.training_files import Changes, lay_out, pack, read_failure
from stagemaker.training.training_plan import training_plan
from tests.unit.plugin.fakes import SCOPE
from tests.unit.plugin.training.test_training_plan import request


def test_the_layout_is_that_of_opt_ml(tmp_path: Path) -> None:
    plan = training_plan(SCOPE, request(CheckpointConfig={"S3Uri": "s3://bucket/ck"}))
    lay_out(plan, tmp_path / "ml")
    found = {path.relative_to(tmp_path / "ml").as_posix() for path in (tmp_path / "ml").rglob("*")}
    assert {"input/data", "model", "output/data", "checkpoints"} <= found
    assert {f"input/config/{n}.json" for n in ("hyperparameters", "inputdataconfig", "resourceconfig")} <= found


def test_the_failure_is_cut(tmp_path: Path) -> None:
    assert read_failure(tmp_path) == ""
    (tmp_path / "output").mkdir()
    (tmp_path / "output" / "failure").write_text("x" * 3000)
    assert read_failure(tmp_path) == "x" * 1024
    (tmp_path / "output" / "failure").write_bytes(b" \xff odd \n")
    assert read_failure(tmp_path) == "� odd"


def test_a_folder_is_packed_whole(tmp_path: Path) -> None:
    (tmp_path / "model" / "sub").mkdir(parents=True)
    (tmp_path / "model" / "a.txt").write_text("a")
    (tmp_path / "model" / "sub" / "b.txt").write_text("b")
    assert pack(tmp_path / "model", tmp_path / "model.tar.gz")
    with tarfile.open(tmp_path / "model.tar.gz") as tar:
        assert tar.getnames() == ["a.txt", "sub", "sub/b.txt"]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["model", "model.tar.gz"]


def test_an_empty_folder_is_not_packed(tmp_path: Path) -> None:
    (tmp_path / "model").mkdir()
    assert not pack(tmp_path / "model", tmp_path / "model.tar.gz")
    assert not pack(tmp_path / "none", tmp_path / "model.tar.gz")
    assert [path.name for path in tmp_path.iterdir()] == ["model"]


def test_changes_are_taken_once(tmp_path: Path) -> None:
    (tmp_path / "old").write_text("from S3")
    changes = Changes(tmp_path)
    assert changes.take() == []
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / "new").write_text("1")
    assert changes.take() == ["sub/new"]
    (tmp_path / "sub" / "new").write_text("22")
    (tmp_path / "old").unlink()
    assert changes.take() == ["sub/new"]
    assert changes.take() == []

"""The files of a training job."""

import errno
import os
import tarfile
from collections.abc import Mapping
from pathlib import Path

import pytest

from stagemaker.jobs.files import Changes, inside, lay_out, pack, read_failure, replicate, spread
from stagemaker.training.plan import training_plan
from tests.unit.plugin.fakes import SCOPE
from tests.unit.plugin.training.test_plan import request


def test_the_layout_is_that_of_opt_ml(tmp_path: Path) -> None:
    plan = training_plan(SCOPE, request(CheckpointConfig={"S3Uri": "s3://bucket/ck"}))
    lay_out(plan, "algo-1", tmp_path / "ml")
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
    assert pack([tmp_path / "model"], tmp_path / "model.tar.gz")
    with tarfile.open(tmp_path / "model.tar.gz") as tar:
        assert tar.getnames() == ["a.txt", "sub", "sub/b.txt"]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["model", "model.tar.gz"]


def make(folder: Path, files: Mapping[str, str]) -> Path:
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    return folder


def read(folder: Path) -> dict[str, str]:
    return {path.relative_to(folder).as_posix(): path.read_text() for path in folder.rglob("*") if path.is_file()}


def test_of_the_same_path_on_several_hosts_the_first_one_s_is_packed(tmp_path: Path) -> None:
    folders = [
        make(tmp_path / "1", {"both": "1", "sub/one": "1", "leaf": "1", "tree/x": "1"}),
        make(tmp_path / "2", {"both": "2", "sub/one": "2", "sub/two": "2", "leaf/below": "2", "tree": "2"}),
        tmp_path / "none",
    ]
    assert pack(folders, tmp_path / "a.tar.gz")
    with tarfile.open(tmp_path / "a.tar.gz") as tar:
        assert tar.getnames() == ["both", "leaf", "sub", "sub/one", "sub/two", "tree", "tree/x"]
        tar.extractall(tmp_path / "out", filter="data")
    assert read(tmp_path / "out") == {"both": "1", "leaf": "1", "sub/one": "1", "sub/two": "2", "tree/x": "1"}


def test_a_link_in_the_model_is_packed_as_a_link(tmp_path: Path) -> None:
    make(tmp_path / "1", {"v1/weights": "w"})
    (tmp_path / "1" / "latest").symlink_to("v1")
    make(tmp_path / "2", {"latest/other": "o"})
    pack([tmp_path / "1", tmp_path / "2"], tmp_path / "a.tar.gz")
    with tarfile.open(tmp_path / "a.tar.gz") as tar:
        assert [(member.name, member.linkname) for member in tar] == [("latest", "v1"), ("v1", ""), ("v1/weights", "")]


def test_a_full_disk_leaves_no_archive(tmp_path: Path) -> None:
    make(tmp_path / "model", {"weights": "w"})
    (tmp_path / "model.tar.partial").symlink_to("/dev/full")
    with pytest.raises(OSError, match="No space left") as caught:
        pack([tmp_path / "model"], tmp_path / "model.tar.gz")
    assert caught.value.errno == errno.ENOSPC
    assert not (tmp_path / "model.tar.gz").exists()


@pytest.mark.parametrize(
    ("count", "sharded", "expected"),
    [
        (1, True, [["a", "b/c", "b/d", "e", "f"]]),
        (2, False, [["a", "b/c", "b/d", "e", "f"]] * 2),
        (2, True, [["a", "b/d", "f"], ["b/c", "e"]]),
        (3, True, [["a", "e"], ["b/c", "f"], ["b/d"]]),
    ],
)
def test_data_is_spread_over_the_hosts(tmp_path: Path, count: int, sharded: bool, expected: list[list[str]]) -> None:
    source = make(tmp_path / "fetched", {name: name for name in ("f", "e", "b/d", "b/c", "a")})
    folders = [tmp_path / str(number) for number in range(count)]
    spread(source, folders, sharded=sharded)
    assert [read(folder) for folder in folders] == [{name: name for name in names} for names in expected]
    assert sorted(path.name for path in tmp_path.iterdir()) == [str(number) for number in range(count)]


def test_a_host_without_a_share_has_an_empty_folder(tmp_path: Path) -> None:
    spread(make(tmp_path / "fetched", {"b/c": ""}), [tmp_path / "1", tmp_path / "2"], sharded=True)
    assert [path.name for path in tmp_path.iterdir() if not list(path.iterdir())] == ["2"]


def test_what_is_spread_takes_the_disk_once_and_what_is_replicated_is_each_host_s_own(tmp_path: Path) -> None:
    first = make(tmp_path / "1", {"sub/state": "first"})
    spread(make(tmp_path / "fetched", {"a": "x"}), [first, tmp_path / "2"], sharded=False)
    assert (tmp_path / "2" / "a").stat().st_ino == (first / "a").stat().st_ino
    (tmp_path / "3").mkdir()
    replicate(first, [tmp_path / "3"])
    (tmp_path / "3" / "sub" / "state").write_text("other")
    assert read(first) == {"a": "x", "sub/state": "first"}


def test_an_empty_folder_is_not_packed(tmp_path: Path) -> None:
    (tmp_path / "model").mkdir()
    assert not pack([tmp_path / "model"], tmp_path / "model.tar.gz")
    assert not pack([tmp_path / "none"], tmp_path / "model.tar.gz")
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


def test_links_that_lead_out_of_the_folder_are_not_followed(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("not the container's")
    base = tmp_path / "base"
    (base / "output").mkdir(parents=True)
    (base / "output" / "failure").symlink_to(tmp_path / "secret")
    (base / "model").symlink_to(tmp_path)
    (base / "within").symlink_to(base / "output")
    (base / "loop").symlink_to(base / "loop")
    assert read_failure(base) == ""
    assert inside(base, "model") is None
    assert inside(base, "loop") is None
    assert inside(base, "missing") is None
    assert inside(base, "within") == (base / "output").resolve()
    changes = Changes(base)
    (base / "late").symlink_to(tmp_path / "secret")
    (base / "own").write_text("x")
    (base / "latest").symlink_to("own")
    assert changes.take() == ["latest", "own"]


def test_a_failure_file_that_is_a_pipe_is_not_waited_for(tmp_path: Path) -> None:
    (tmp_path / "output").mkdir()
    os.mkfifo(tmp_path / "output" / "failure")
    assert read_failure(tmp_path) == ""

"""What a job leaves behind."""

import errno
import os
import tarfile
from pathlib import Path

import pytest

from stagemaker.jobs.artifacts import Changes, files, inside, pack, read_failure
from tests.unit.plugin.jobs.trees import make, read


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


def test_the_files_of_several_hosts_have_one_name_each(tmp_path: Path) -> None:
    folders = [
        make(tmp_path / "1", {"both": "1", "sub/one": "1", "leaf": "1"}),
        make(tmp_path / "2", {"both": "2", "sub/two": "2", "leaf/below": "2"}),
    ]
    (tmp_path / "2" / "link").symlink_to("sub/two")
    (tmp_path / "2" / "folder").symlink_to("sub")
    (tmp_path / "2" / "other host").symlink_to(tmp_path / "1" / "both")
    os.mkfifo(tmp_path / "2" / "fifo")
    found = {name: path.read_text() for name, path in files(folders).items()}
    assert found == {"both": "1", "leaf": "1", "link": "2", "sub/one": "1", "sub/two": "2"}


def test_a_full_disk_leaves_no_archive(tmp_path: Path) -> None:
    make(tmp_path / "model", {"weights": "w"})
    (tmp_path / "model.tar.partial").symlink_to("/dev/full")
    with pytest.raises(OSError, match="No space left") as caught:
        pack([tmp_path / "model"], tmp_path / "model.tar.gz")
    assert caught.value.errno == errno.ENOSPC
    assert not (tmp_path / "model.tar.gz").exists()


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

"""Folders whose files go to S3 while they are written."""

from pathlib import Path

import pytest

from stagemaker.jobs.mirror import Mirror
from tests.unit.plugin.fakes import SCOPE, FakeAws
from tests.unit.plugin.jobs.trees import make

HOSTS = ("algo-1", "algo-2")


class Environment:
    """Two hosts, whose folders both hold the file `old`, which S3 has too."""

    def __init__(self, folder: Path, *, deletes: bool = True) -> None:
        self.account = FakeAws({"s3://b/c/old": b"old", "s3://b/c/later": b"of another"})
        self.said: list[tuple[str, str]] = []
        self.first, self.second = (make(folder / host, {"old": "old"}) for host in HOSTS)
        self.mirror = Mirror(
            dict(zip(HOSTS, (self.first, self.second), strict=True)),
            "s3://b/c",
            scope=SCOPE,
            account=self.account,
            say=lambda host, sentence: self.said.append((host, sentence)),
            link=folder / "link",
            what="file",
            deletes=deletes,
        )

    def keys(self) -> list[str]:
        return sorted(uri.removeprefix("s3://b/c/") for uri in self.account.objects)


def test_what_is_on_no_host_any_more_is_deleted(tmp_path: Path) -> None:
    environment = Environment(tmp_path)
    (environment.first / "new").write_text("new")
    environment.mirror.send()
    assert environment.keys() == ["later", "new", "old"]
    (environment.first / "new").rename(environment.first / "newer")
    (environment.first / "old").unlink()
    environment.mirror.send()
    assert environment.keys() == ["later", "newer", "old"]
    (environment.second / "old").unlink()
    environment.mirror.send()
    assert environment.keys() == ["later", "newer"]
    assert environment.said == []


def test_a_mirror_without_deletes_only_adds(tmp_path: Path) -> None:
    environment = Environment(tmp_path, deletes=False)
    for folder in (environment.first, environment.second):
        (folder / "old").unlink()
    environment.mirror.send(last=True)
    assert environment.keys() == ["later", "old"]


def test_a_file_that_cannot_be_read_now_is_not_deleted(tmp_path: Path) -> None:
    environment = Environment(tmp_path)
    for folder in (environment.first, environment.second):
        (folder / "old").unlink()
        (folder / "old").symlink_to("/etc/hostname")
    environment.mirror.send(last=True)
    assert environment.keys() == ["later", "old"]


@pytest.mark.parametrize("replaced", ["board", "board/logs"])
def test_a_folder_that_its_program_replaces_by_a_link_is_not_read(tmp_path: Path, replaced: str) -> None:
    make(tmp_path / "of the machine", {"secret": "s", "logs/secret": "s"})
    mounted = make(tmp_path / "mounted", {"board/logs/old": "old"})
    account = FakeAws({})
    mirror = Mirror(
        {"algo-1": mounted / "board" / "logs"},
        "s3://b/c",
        scope=SCOPE,
        account=account,
        say=lambda _, sentence: pytest.fail(sentence),
        link=tmp_path / "link",
        what="file",
    )
    (mounted / replaced).rename(mounted / "before")
    (mounted / replaced).symlink_to(tmp_path / "of the machine")
    mirror.send(last=True)
    assert account.objects == {}


def test_a_deletion_that_fails_is_a_line_and_is_tried_again(tmp_path: Path) -> None:
    environment = Environment(tmp_path)
    for folder in (environment.first, environment.second):
        (folder / "old").unlink()
    environment.account.fail_uploads = "S3 is away"
    assert environment.mirror.send() == ["S3 is away"]
    environment.account.fail_uploads = ""
    assert environment.mirror.send() == []
    assert environment.keys() == ["later"]
    sentence = "the file 'old' is not deleted yet, and is tried again: S3 is away"
    assert environment.said == [("algo-1", sentence)]


def test_a_name_that_s3_does_not_take_is_said_once(tmp_path: Path) -> None:
    environment = Environment(tmp_path)
    (environment.first / "caf\udce9").write_text("x")
    environment.mirror.send()
    (environment.first / "caf\udce9").unlink()
    environment.mirror.send()
    sentence = "the file 'caf\\xe9' is not saved: its name is not UTF-8, which S3 asks for"
    assert environment.said == [("algo-1", sentence)]

"""Archives from strangers: what is good comes out whole, what is bad stays inside."""

import io
import tarfile
from pathlib import Path

import pytest

from stagemaker.core.archive import ArchiveTooLarge, BadArchive, unpack


def tar_of(path: Path, *members: tuple[tarfile.TarInfo, bytes]) -> Path:
    with tarfile.open(path, "w:gz") as tar:
        for member, data in members:
            member.size = len(data)
            tar.addfile(member, io.BytesIO(data))
    return path


def member(name: str, kind: bytes = tarfile.REGTYPE, link: str = "") -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.type, info.linkname = kind, link
    info.mode = 0o755 if kind == tarfile.DIRTYPE else 0o644
    return info


def test_files_folders_and_hard_links_within_come_out(tmp_path: Path) -> None:
    archive = tar_of(
        tmp_path / "a",
        (member("./", tarfile.DIRTYPE), b""),
        (member("./code", tarfile.DIRTYPE), b""),
        (member("./code/model.onnx"), b"weights"),
        (member("hard", tarfile.LNKTYPE, "./code/model.onnx"), b""),
    )
    unpack(archive, tmp_path / "out", 1000)
    assert [(tmp_path / "out" / n).read_bytes() for n in ("code/model.onnx", "hard")] == [b"weights"] * 2


@pytest.mark.parametrize(
    "bad",
    [
        member("../out-of-it"),
        member("a/../../out-of-it"),
        member("/tmp/stagemaker-out-of-it"),
        member("link", tarfile.SYMTYPE, "/etc"),
        member("link", tarfile.SYMTYPE, "../out-of-it"),
        member("link", tarfile.SYMTYPE, "a/../.."),
        member("link", tarfile.LNKTYPE, "../a"),
        member("latest", tarfile.SYMTYPE, "v1"),
        member("pipe", tarfile.FIFOTYPE),
        member("disk", tarfile.BLKTYPE),
    ],
)
def test_a_member_that_leads_out_is_refused(tmp_path: Path, bad: tarfile.TarInfo) -> None:
    archive = tar_of(tmp_path / "a", (bad, b""))
    with pytest.raises(BadArchive, match=bad.name):
        unpack(archive, tmp_path / "out", 1000)
    assert not (tmp_path / "out-of-it").exists()
    assert not Path("/tmp/stagemaker-out-of-it").exists()


def test_a_bomb_is_refused_before_it_fills_the_disk(tmp_path: Path) -> None:
    archive = tar_of(tmp_path / "a", (member("small"), b"1"), (member("zeros"), bytes(2_000_000)))
    assert archive.stat().st_size < 10_000
    with pytest.raises(ArchiveTooLarge, match="more than 1,000,000 bytes"):
        unpack(archive, tmp_path / "out", 1_000_000)
    assert not (tmp_path / "out" / "zeros").exists()


def test_what_is_no_archive_is_refused(tmp_path: Path) -> None:
    good = tar_of(tmp_path / "good", (member("a"), bytes(range(256)) * 4000)).read_bytes()
    for number, data in enumerate((b"", b"no archive", good[:-2000], good[:100] + b"xx" + good[102:])):
        path = tmp_path / str(number)
        path.write_bytes(data)
        with pytest.raises(BadArchive):
            unpack(path, tmp_path / f"out{number}", 10_000_000)


@pytest.mark.parametrize(
    ("members", "sentence"),
    [
        ((member("v1"), member("latest", tarfile.SYMTYPE, "v1")), "'latest' is a symbolic link: pack the file itself"),
        ((member("a"), member("a/b")), "'a/b' cannot be unpacked: Not a directory"),
        ((member("n" * 300),), "'nnn.*nnn' cannot be unpacked: File name too long"),
        ((member("hard", tarfile.LNKTYPE, "gone"),), "'hard' links to what is not there"),
    ],
)
def test_a_member_that_cannot_be_written_is_named(
    tmp_path: Path, members: tuple[tarfile.TarInfo, ...], sentence: str
) -> None:
    archive = tar_of(tmp_path / "a", *((each, b"") for each in members))
    with pytest.raises(BadArchive, match=sentence) as caught:
        unpack(archive, tmp_path / "out", 1000)
    assert "Errno" not in str(caught.value)
    assert str(tmp_path) not in str(caught.value)

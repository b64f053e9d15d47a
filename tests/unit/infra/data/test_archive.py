import stat
import zipfile
from pathlib import Path

import pytest

from infra.data import archive
from infra.errors import StepFailed
from tests.unit.infra.photos import quiet


def pack(path: Path, members: dict[str, bytes]) -> Path:
    with zipfile.ZipFile(path, "w") as target:
        for name, content in members.items():
            target.writestr(name, content)
    return path


def refusal(tmp_path: Path, packed: Path) -> str:
    out = tmp_path / "out" / "deep"
    out.mkdir(parents=True)
    with pytest.raises(StepFailed) as caught:
        archive.unpack(packed, out, quiet())
    assert list((tmp_path / "out").iterdir()) == [out]
    return caught.value.reason


def test_unpacks(tmp_path: Path) -> None:
    members = {"a/b.txt": b"b", "a/c/d.txt": b"d", "a/e/": b"", "__MACOSX/a/._b.txt": b"x"}
    members |= {"a/__MACOSX/b.txt": b"x", "a/c/Thumbs.db": b"x", "a/.git/x": b"x"}
    archive.unpack(pack(tmp_path / "a.zip", members), tmp_path / "out", quiet())
    found = sorted(path.relative_to(tmp_path / "out").as_posix() for path in (tmp_path / "out").rglob("*"))
    assert found == ["a", "a/b.txt", "a/c", "a/c/d.txt", "a/e"]
    assert (tmp_path / "out" / "a" / "c" / "d.txt").read_bytes() == b"d"


@pytest.mark.parametrize("name", ["../evil", "a/../../evil", "/evil", "..\\evil", "C:\\evil", "a/.."])
def test_nothing_leads_out(tmp_path: Path, name: str) -> None:
    assert "leads out of its folder" in refusal(tmp_path, pack(tmp_path / "a.zip", {"good": b"", name: b"evil"}))


def test_no_links(tmp_path: Path) -> None:
    link = zipfile.ZipInfo("link")
    link.external_attr = (stat.S_IFLNK | 0o777) << 16
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as target:
        target.writestr(link, "/etc")
    assert "holds a link" in refusal(tmp_path, tmp_path / "a.zip")


def test_no_bombs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(archive, "MAX_BYTES", 100)
    assert "would unpack to more than" in refusal(tmp_path, pack(tmp_path / "a.zip", {"big": b"0" * 101}))


def test_a_flipped_bit_is_found(tmp_path: Path) -> None:
    packed = pack(tmp_path / "a.zip", {"photo.jpg": b"0123456789" * 10})
    content = packed.read_bytes()
    packed.write_bytes(content.replace(b"0123456789", b"0123456780", 1))
    (tmp_path / "out").mkdir()
    with pytest.raises(StepFailed, match="Bad CRC-32"):
        archive.unpack(packed, tmp_path / "out", quiet())


@pytest.mark.parametrize("content", [b"", b"not a zip", b"PK\x03\x04broken"])
def test_not_an_archive(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "a.zip").write_bytes(content)
    assert "is not a whole zip archive" in refusal(tmp_path, tmp_path / "a.zip")

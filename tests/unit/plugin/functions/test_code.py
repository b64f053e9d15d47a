"""A function's zip file: what is good comes out whole, what is bad stays inside."""

import stat
import zipfile
from pathlib import Path

import pytest

from stagemaker.core.archive import BadArchive
from stagemaker.functions.code import unzip_code


def zip_of(path: Path, *members: tuple[str, int, bytes]) -> str:
    """Name, mode and content of each."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, mode, data in members:
            info = zipfile.ZipInfo(name)
            info.create_system, info.external_attr = 3, mode << 16
            archive.writestr(info, data)
    return str(path)


FILE, LINK = stat.S_IFREG | 0o777, stat.S_IFLNK | 0o777


def test_files_folders_and_links_within_come_out(tmp_path: Path) -> None:
    code = (("code/", stat.S_IFDIR | 0o755, b""), ("code/main.py", FILE, b"1"), ("new/latest.py", LINK, b"main.py"))
    unzip_code(zip_of(tmp_path / "a", *code, ("new/main.py", FILE, b"2")), str(tmp_path / "out"))
    assert [(tmp_path / "out" / name).read_text() for name in ("code/main.py", "new/latest.py")] == ["1", "2"]


@pytest.mark.parametrize(
    ("name", "mode", "content"),
    [
        ("../victim", FILE, b""),
        ("a/../../victim", FILE, b""),
        ("/tmp/stagemaker-victim", FILE, b""),
        ("link", LINK, b"/etc/passwd"),
        ("link", LINK, b"../victim"),
        ("a/link", LINK, b"b/../../.."),
    ],
)
def test_what_leads_out_is_refused(tmp_path: Path, name: str, mode: int, content: bytes) -> None:
    victim = tmp_path / "victim"
    victim.touch(0o600)
    with pytest.raises(BadArchive, match=f"'{name}' in the function's code leads out of its folder"):
        unzip_code(zip_of(tmp_path / "a", (name, mode, content)), str(tmp_path / "out"))
    assert stat.S_IMODE(victim.stat().st_mode) == 0o600
    assert not Path("/tmp/stagemaker-victim").exists()


def test_what_is_no_archive_is_refused(tmp_path: Path) -> None:
    good = Path(zip_of(tmp_path / "good", ("a", FILE, bytes(range(256)) * 4000))).read_bytes()
    for number, data in enumerate((b"", b"no archive", good[:1000], good[:100] + b"xx" + good[102:])):
        path = tmp_path / str(number)
        path.write_bytes(data)
        with pytest.raises(BadArchive, match="cannot be unpacked"):
            unzip_code(str(path), str(tmp_path / f"out{number}"))
    twice = zip_of(tmp_path / "twice", ("a", FILE, b""), ("a/b", FILE, b""))
    with pytest.raises(BadArchive, match="cannot be unpacked") as caught:
        unzip_code(twice, str(tmp_path / "out"))
    assert str(caught.value) == "'a/b' in the function's code cannot be unpacked: Not a directory."

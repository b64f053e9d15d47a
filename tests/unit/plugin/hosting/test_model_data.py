"""Model data from S3 into the folders of instances."""

import io
import tarfile
from pathlib import Path

import pytest

from stagemaker.hosting.layout import ModelSource
from stagemaker.hosting.model_data import BadModelData, fetch_model
from tests.unit.plugin.fakes import SCOPE, FakeAws

ARCHIVE = ModelSource("s3://b/m.tar.gz", "archive")
EXTRACT = (
    'Failed to extract model data archive for container "container_1" from URL "s3://b/m.tar.gz". Please ensure that '
    "the object located at the URL is a valid tar.gz archive. Stagemaker: "
)


def archive(*links: tuple[str, str], **files: str) -> bytes:
    data = io.BytesIO()
    with tarfile.open(fileobj=data, mode="w:gz") as tar:
        for name, text in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(text)
            tar.addfile(info, io.BytesIO(text.encode()))
        for name, target in links:
            info = tarfile.TarInfo(name)
            info.type, info.linkname = tarfile.SYMTYPE, target
            tar.addfile(info)
    return data.getvalue()


def reason(data: bytes, folder: Path) -> str:
    """Why an archive of this content is refused."""
    (folder / "model").mkdir()
    with pytest.raises(BadModelData) as caught:
        fetch_model(FakeAws({ARCHIVE.uri: data}), SCOPE, ARCHIVE, [folder / "model"], folder, 1000)
    return str(caught.value)


def test_a_link_in_a_model_archive_is_refused_and_named(tmp_path: Path) -> None:
    found = reason(archive(("latest", "v1"), v1="weights"), tmp_path)
    assert found == f"{EXTRACT}Its member 'latest' is a symbolic link: pack the file itself in its place."


def test_an_archive_of_something_else_is_refused_without_a_path_of_ours(tmp_path: Path) -> None:
    found = reason(b"no archive", tmp_path)
    assert found == f"{EXTRACT}It cannot be unpacked: not a gzip file."


def test_a_prefix_reaches_every_instance(tmp_path: Path) -> None:
    account = FakeAws({"s3://b/v1/weights": b"1", "s3://b/v1/code/x": b"2", "s3://b/v10/weights": b"10"})
    folders = [tmp_path / "1", tmp_path / "2"]
    fetch_model(account, SCOPE, ModelSource("s3://b/v1/", "prefix"), folders, tmp_path, 1000)
    for folder in folders:
        files = {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}
        assert files == {"weights": b"1", "code/x": b"2"}

"""Which files are sent, and that a run that is cut short is made good by the next."""

import hashlib
import io
import json
from pathlib import Path
from threading import Event
from typing import Any

import pytest
from botocore.exceptions import ClientError

from infra.errors import StepFailed
from infra.resources import objects
from infra.resources.objects import File, StoredFiles
from tests.unit.infra.fakes import FakeClient, missing
from tests.unit.infra.photos import quiet

MANIFEST = "manifests/data.json"


class FakeS3(FakeClient):
    """A bucket in memory; a key in `broken` cannot be put."""

    def __init__(self) -> None:
        super().__init__()
        self.objects: dict[str, bytes] = {}
        self.broken: set[str] = set()
        self.answers = {
            "put_object": self._put,
            "get_object": self._get,
            "list_objects_v2": self._list,
            "delete_objects": self._delete,
        }

    def sent(self) -> list[str]:
        """The keys that were put, without the manifest."""
        return sorted(q["Key"] for name, q in self.calls if name == "put_object" and q["Key"] != MANIFEST)

    def _put(self, Key: str, Body: bytes, **_: Any) -> dict[str, Any]:
        if Key in self.broken:
            raise missing("SlowDown")
        self.objects[Key] = Body
        return {}

    def _get(self, Key: str, **_: Any) -> dict[str, Any]:
        if Key not in self.objects:
            raise missing("NoSuchKey")
        return {"Body": io.BytesIO(self.objects[Key])}

    def _list(self, Prefix: str, **_: Any) -> dict[str, Any]:
        found = {key: body for key, body in self.objects.items() if key.startswith(Prefix)}
        return {"Contents": [{"Key": key, "Size": len(body)} for key, body in found.items()]}

    def _delete(self, Delete: dict[str, Any], **_: Any) -> dict[str, Any]:
        for one in Delete["Objects"]:
            self.objects.pop(one["Key"], None)
        return {}


@pytest.fixture
def s3() -> FakeS3:
    return FakeS3()


def stored(s3: FakeS3, folder: Path, **contents: str) -> StoredFiles:
    """Files of these contents."""
    files = {}
    for name, content in contents.items():
        (folder / name).write_text(content)
        files[name] = File(folder / name, hashlib.sha256(content.encode()).hexdigest())
    return StoredFiles(s3, "bucket", "data", files, "Data in S3", "photos", quiet().bar)


def bring(files: StoredFiles) -> str:
    state = files.read()
    return files.create() if state is None else files.update(state, files.diff(state))


def test_nothing_is_there(s3: FakeS3, tmp_path: Path) -> None:
    assert stored(s3, tmp_path, a="1").read() is None
    s3.answers["list_objects_v2"] = missing("NoSuchBucket")
    assert stored(s3, tmp_path, a="1").read() is None


def test_all_are_sent_once(s3: FakeS3, tmp_path: Path) -> None:
    files = stored(s3, tmp_path, a="1", b="2")
    assert bring(files) == "2 of 2 photos sent"
    assert s3.sent() == ["data/a", "data/b"]
    state = files.read()
    assert state is not None
    assert files.diff(state) == []
    assert files.remark(state) == "0 of 2 photos sent"


def test_only_what_differs_is_sent_and_what_is_too_much_deleted(s3: FakeS3, tmp_path: Path) -> None:
    bring(stored(s3, tmp_path, a="1", b="2", c="3"))
    s3.calls.clear()
    files = stored(s3, tmp_path, a="1", b="7")
    state = files.read()
    assert state is not None
    assert [str(change) for change in files.diff(state)] == ["photos in place: 1 -> 2", "other objects: 1 -> 0"]
    assert bring(files) == "1 of 2 photos sent"
    assert s3.sent() == ["data/b"]
    assert set(s3.objects) == {"data/a", "data/b", MANIFEST}


def test_a_manifest_whose_key_is_disabled_knows_nothing(s3: FakeS3, tmp_path: Path) -> None:
    files = stored(s3, tmp_path, a="1")
    bring(files)
    s3.answers["get_object"] = missing("KMS.DisabledException")
    state = files.read()
    assert state is not None
    assert [str(change) for change in files.diff(state)] == ["photos in place: 0 -> 1"]
    files.delete()
    assert s3.objects == {}
    s3.answers["get_object"] = missing("AccessDenied")
    with pytest.raises(ClientError, match="AccessDenied"):
        files.read()


def test_an_object_of_another_size_is_sent_again(s3: FakeS3, tmp_path: Path) -> None:
    files = stored(s3, tmp_path, a="1")
    bring(files)
    s3.objects["data/a"] = b"cut off"
    state = files.read()
    assert state is not None
    assert [str(change) for change in files.diff(state)] == ["photos in place: 0 -> 1"]


def test_a_run_that_is_cut_short_is_made_good_by_the_next(s3: FakeS3, tmp_path: Path) -> None:
    bring(stored(s3, tmp_path, a="1", b="2"))
    files = stored(s3, tmp_path, a="8", b="9")
    s3.broken = {"data/b"}
    with pytest.raises(Exception, match="SlowDown"):
        bring(files)
    assert json.loads(s3.objects[MANIFEST]) == {}, "it knows nothing of what may have changed"
    s3.broken = set()
    bring(files)
    assert s3.objects["data/b"] == b"9"


def test_a_run_that_is_killed_has_not_sent_all_for_nothing(
    s3: FakeS3, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(objects, "SAVED_EVERY", 1)
    files, saved = stored(s3, tmp_path, a="1", b="2"), Event()

    def put(Key: str, Body: bytes, **_: Any) -> dict[str, Any]:
        if Key == "data/b":
            assert saved.wait(60)
            raise missing("SlowDown")
        s3.objects[Key] = Body
        if Key == MANIFEST:
            saved.set()
        return {}

    kept, s3.answers["put_object"] = s3.answers["put_object"], put
    with pytest.raises(Exception, match="SlowDown"):
        bring(files)
    s3.answers["put_object"] = kept
    s3.calls.clear()
    bring(files)
    assert s3.sent() == ["data/b"]


def test_a_file_that_changes_while_it_is_sent_is_not_taken_for_the_one_that_was_looked_at(
    s3: FakeS3, tmp_path: Path
) -> None:
    files = stored(s3, tmp_path, a="1")
    (tmp_path / "a").write_text("another")
    with pytest.raises(StepFailed, match=r"a has changed since it was looked at"):
        bring(files)
    assert s3.objects == {}


def test_an_object_that_s3_does_not_delete_is_told(s3: FakeS3, tmp_path: Path) -> None:
    files = stored(s3, tmp_path, a="1")
    bring(files)
    refused = {"Key": "data/a", "Code": "AccessDenied", "Message": "Access Denied"}
    s3.answers["delete_objects"] = {"Errors": [refused]}
    with pytest.raises(
        StepFailed, match=r"1 objects of the bucket bucket cannot be deleted, such as data/a: AccessDen"
    ):
        files.delete()


def test_delete_leaves_nothing_of_the_prefix(s3: FakeS3, tmp_path: Path) -> None:
    bring(stored(s3, tmp_path, a="1"))
    s3.objects["models/a"] = b"stays"
    stored(s3, tmp_path).delete()
    assert set(s3.objects) == {"models/a"}

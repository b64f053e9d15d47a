"""Downloads from a real HTTP server of this machine, one that breaks off where a test wants it to."""

import hashlib
import json
import threading
import zipfile
from collections.abc import Iterator
from hashlib import md5
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from infra.cli import main
from infra.data.dataset import load
from infra.data.fetch import fetch
from infra.errors import StepFailed
from tests.unit.infra.photos import quiet, text_of, write_set
from tests.unit.ml.damaged import encode, gradient


def tag(content: bytes) -> str:
    """S3's entity tag."""
    return f'"{md5(content, usedforsecurity=False).hexdigest()}"'


class Server(ThreadingHTTPServer):
    """Serves `content`; breaks off after `break_after` bytes, once; `ranges` are those it was asked for."""

    daemon_threads = True

    def __init__(self, content: bytes) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.content, self.etag = content, tag(content)
        self.break_after: int | None = None
        self.ranges: list[str] = []
        self.ignores_ranges = False

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}/dogImages.zip"


class Handler(BaseHTTPRequestHandler):
    server: Server

    def log_message(self, *_: object) -> None:
        pass

    def do_HEAD(self) -> None:
        self.head(200, len(self.server.content))

    def do_GET(self) -> None:
        asked = self.headers.get("Range", "")
        self.server.ranges.append(asked)
        fits = self.headers.get("If-Range") in (None, self.server.etag) and not self.server.ignores_ranges
        begin = int(asked.removeprefix("bytes=").removesuffix("-")) if asked and fits else 0
        content = self.server.content[begin:]
        self.head(206 if begin else 200, len(content), begin)
        if self.server.break_after is not None:
            content, self.server.break_after = content[: self.server.break_after], None
            self.close_connection = True
        self.wfile.write(content)

    def head(self, status: int, length: int, begin: int = 0) -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(length))
        self.send_header("ETag", self.server.etag)
        if status == 206:
            total = len(self.server.content)
            self.send_header("Content-Range", f"bytes {begin}-{total - 1}/{total}")
        self.end_headers()


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    write_set(tmp_path / "source")
    with zipfile.ZipFile(tmp_path / "source.zip", "w") as target:
        for path in sorted((tmp_path / "source").rglob("*.png")):
            target.write(path, Path("dogImages") / path.relative_to(tmp_path / "source"))
    with Server((tmp_path / "source.zip").read_bytes()) as one:
        thread = threading.Thread(target=one.serve_forever, args=(0.01,))
        thread.start()
        yield one
        one.shutdown()
        thread.join()


def files(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def refusal(server: Server, folder: Path, sha256: str = "") -> str:
    with pytest.raises(StepFailed) as caught:
        fetch(server.url, folder, sha256, quiet())
    return caught.value.reason


def test_fetches_checks_and_unpacks(server: Server, tmp_path: Path) -> None:
    terminal = quiet()
    fetch(server.url, tmp_path / "data" / "dogs", "", terminal)
    assert load(tmp_path / "data" / "dogs").classes == ("cat", "dog")
    assert files(tmp_path / "data") == ["dogs", "dogs.json"]
    record = json.loads((tmp_path / "data" / "dogs.json").read_text())
    assert record["sha256"] == hashlib.sha256(server.content).hexdigest()
    assert "entity tag: matches" in text_of(terminal)


def test_a_photo_that_is_broken_in_the_archive_is_removed_and_named(server: Server, tmp_path: Path) -> None:
    write_set(tmp_path / "source", each=3)
    broken = next((tmp_path / "source" / "train" / "cat").iterdir())
    broken.write_bytes(broken.read_bytes()[:45])
    jpeg = encode(gradient(), "JPEG")
    (broken.parent / "cut.jpg").write_bytes(jpeg[: len(jpeg) * 9 // 10])
    with zipfile.ZipFile(tmp_path / "source.zip", "w") as target:
        for path in (tmp_path / "source").rglob("*.*"):
            target.write(path, path.relative_to(tmp_path / "source"))
    server.content = (tmp_path / "source.zip").read_bytes()
    server.etag = tag(server.content)
    terminal = quiet()
    fetch(server.url, tmp_path / "dogs", "", terminal)
    assert f"Removed train/cat/{broken.name}: it is broken." in text_of(terminal)
    assert (tmp_path / "dogs" / "train" / "cat" / "cut.jpg").is_file()
    assert len(load(tmp_path / "dogs").split("train")) == 6


def test_what_is_there_is_not_fetched_again(server: Server, tmp_path: Path) -> None:
    fetch(server.url, tmp_path / "data" / "dogs", "", quiet())
    fetch(server.url, tmp_path / "data" / "dogs", "", quiet())
    assert server.ranges == [""]


def test_an_interrupted_download_goes_on_where_it_stopped(server: Server, tmp_path: Path) -> None:
    server.break_after = 1000
    assert "ended after 1,000 of" in refusal(server, tmp_path / "data" / "dogs")
    assert files(tmp_path / "data") == ["dogs.part.json", "dogs.zip"]
    fetch(server.url, tmp_path / "data" / "dogs", "", quiet())
    assert server.ranges == ["", "bytes=1000-"]
    assert files(tmp_path / "data") == ["dogs", "dogs.json"]


def test_a_server_without_ranges_is_asked_for_the_whole(server: Server, tmp_path: Path) -> None:
    server.break_after, server.ignores_ranges = 1000, True
    refusal(server, tmp_path / "data" / "dogs")
    fetch(server.url, tmp_path / "data" / "dogs", "", quiet())
    assert load(tmp_path / "data" / "dogs").photos


def test_a_new_archive_is_not_glued_to_the_old_ones_beginning(server: Server, tmp_path: Path) -> None:
    server.break_after = 1000
    refusal(server, tmp_path / "data" / "dogs")
    server.content += b"\0"
    server.etag = tag(server.content)
    fetch(server.url, tmp_path / "data" / "dogs", "", quiet())
    assert server.ranges == ["", ""]


def test_the_digest_that_was_asked_for(server: Server, tmp_path: Path) -> None:
    assert "SHA-256 is" in refusal(server, tmp_path / "data" / "dogs", sha256="00" * 32)
    assert files(tmp_path / "data") == []
    fetch(server.url, tmp_path / "data" / "dogs", hashlib.sha256(server.content).hexdigest(), quiet())
    assert files(tmp_path / "data") == ["dogs", "dogs.json"]


def test_bytes_that_are_not_what_the_entity_tag_says(server: Server, tmp_path: Path) -> None:
    server.etag = f'"{"0" * 32}"'
    assert "entity tag" in refusal(server, tmp_path / "data" / "dogs")
    assert files(tmp_path / "data") == []


@pytest.mark.parametrize(("parts", "verdict"), [("1", "matches"), ("7", "untold")])
def test_the_tag_of_an_upload_in_parts(server: Server, tmp_path: Path, parts: str, verdict: str) -> None:
    server.etag = tag(md5(server.content, usedforsecurity=False).digest())[:-1] + f'-{parts}"'
    terminal = quiet()
    fetch(server.url, tmp_path / "data" / "dogs", "", terminal)
    assert f"entity tag: {verdict}" in text_of(terminal)


def test_an_archive_of_something_else(server: Server, tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "other.zip", "w") as target:
        target.writestr("readme.txt", "no photos")
    server.content = (tmp_path / "other.zip").read_bytes()
    server.etag = '"opaque"'
    assert "holds no folders train, valid, test" in refusal(server, tmp_path / "data" / "dogs")
    assert "dogs" not in files(tmp_path / "data")


def test_no_server(server: Server, tmp_path: Path) -> None:
    with pytest.raises(StepFailed, match="could not be downloaded"):
        fetch("http://127.0.0.1:1/x.zip", tmp_path / "data" / "dogs", "", quiet())
    with pytest.raises(StepFailed, match="not an http"):
        fetch("file:///etc/passwd", tmp_path / "data" / "dogs", "", quiet())


def test_the_command(server: Server, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["data", "fetch", "--url", server.url, "--to", str(tmp_path / "dogs")]) == 0
    assert "2 classes; photos: 4 train, 4 valid, 4 test" in " ".join(capsys.readouterr().out.split())

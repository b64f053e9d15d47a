"""Fetches the 133-breed photos: resumes a broken download, and believes nothing that it has not checked.

The archive's publisher gives no digest. So the size and the entity tag that the server names are checked (S3's tag is
an MD5 of the content or of its parts), every file's CRC when it is unpacked, and the SHA-256 found is written down, so
that `--sha256` can hold others to it.
"""

import hashlib
import json
import shutil
import tempfile
import urllib.error
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from http.client import HTTPException
from pathlib import Path
from typing import Any

from infra.data.archive import unpack
from infra.data.layout import SPLITS
from infra.errors import StepFailed
from infra.terminal import Terminal
from ml.photos import judge, list_photos

DOG_IMAGES_URL = "https://s3-us-west-1.amazonaws.com/udacity-aind/dog-project/dogImages.zip"
_CHUNK = 1 << 20
_PART_SIZES = [mib << 20 for mib in (5, 6, 7, 8, 10, 15, 16, 20, 25, 32, 50, 64, 100, 128)]  # uploaders' habits
_TIMEOUT_S = 30
_AGAIN = "Run it again: it goes on where it stopped."


@dataclass(frozen=True)
class Remote:
    """What the server says of the archive."""

    url: str
    size: int
    etag: str


def fetch(url: str, folder: Path, sha256: str, terminal: Terminal) -> None:
    """Download, check and unpack the archive at `url` so that `folder` holds train, valid and test; nothing if it is
    there already. `sha256`, if not empty, is the only digest accepted. Raises StepFailed."""
    if folder.is_dir():
        terminal.say(f"{folder} is there already.")
        return
    if not url.startswith(("https://", "http://")):
        raise StepFailed(f"{url!r} is not an http(s) address.", "Give the address of a zip archive.")
    archive = folder.with_name(folder.name + ".zip")
    folder.parent.mkdir(parents=True, exist_ok=True)
    try:
        remote = _download(url, archive, terminal)
    except (OSError, HTTPException) as error:
        raise StepFailed(f"{url} could not be downloaded: {error}.", _AGAIN) from error
    found = _verify(archive, remote, sha256, terminal)
    _install(archive, folder, terminal)
    record = {**asdict(remote), "sha256": found}
    folder.with_name(folder.name + ".json").write_text(json.dumps(record, indent=2) + "\n")
    _forget(archive)


def _download(url: str, archive: Path, terminal: Terminal) -> Remote:
    """The archive's bytes, from where an earlier call stopped if the server still has the same archive."""
    remote = _ask(url)
    note = archive.with_suffix(".part.json")
    if not note.is_file() or note.read_text() != json.dumps(asdict(remote)):
        archive.unlink(missing_ok=True)
        note.write_text(json.dumps(asdict(remote)))
    have = archive.stat().st_size if archive.is_file() else 0
    if have > remote.size:
        archive.unlink()
        have = 0
    if have < remote.size:
        _append(remote, archive, have, terminal)
    if (have := archive.stat().st_size) != remote.size:
        raise StepFailed(f"The download ended after {have:,} of {remote.size:,} bytes.", _AGAIN)
    return remote


def _ask(url: str) -> Remote:
    with urllib.request.urlopen(urllib.request.Request(url, method="HEAD"), timeout=_TIMEOUT_S) as answer:  # noqa: S310
        length = answer.headers.get("Content-Length")
        if length is None:
            raise StepFailed(f"{url} does not say how large it is.", "Fetch it by hand and unpack it; then use DATA=.")
        return Remote(url, int(length), answer.headers.get("ETag", ""))


def _append(remote: Remote, archive: Path, have: int, terminal: Terminal) -> None:
    headers = {"Range": f"bytes={have}-"} if have else {}
    if have and remote.etag:
        headers["If-Range"] = remote.etag
    request = urllib.request.Request(remote.url, headers=headers)  # noqa: S310
    with urllib.request.urlopen(request, timeout=_TIMEOUT_S) as answer:  # noqa: S310
        resumes = _resumes(answer, have)
        with (
            open(archive, "ab" if resumes else "wb") as file,
            terminal.transfer("dogImages" if have == 0 else "dogImages, resumed", remote.size) as advance,
        ):
            advance(have if resumes else 0)
            while chunk := answer.read(_CHUNK):
                file.write(chunk)
                advance(len(chunk))


def _resumes(answer: Any, have: int) -> bool:
    """Whether the server sends the rest (206) and not the whole (200)."""
    return bool(answer.status == 206 and answer.headers.get("Content-Range", "").startswith(f"bytes {have}-"))


def _verify(archive: Path, remote: Remote, sha256: str, terminal: Terminal) -> str:
    """The archive's SHA-256 in hex. Raises StepFailed, and forgets the archive, when a digest differs."""
    with open(archive, "rb") as file:
        found = hashlib.file_digest(file, "sha256").hexdigest()
    if sha256 and found != sha256:
        _forget(archive)
        raise StepFailed(
            f"The archive's SHA-256 is {found}, not {sha256}.", "It was deleted. Fetch it again, or check the digest."
        )
    verdict = _judge_etag(archive, remote)
    if verdict == "differs":
        _forget(archive)
        raise StepFailed("The archive's MD5 is not the server's entity tag.", "It was deleted: fetch it again.")
    terminal.say(f"The archive has {remote.size:,} bytes, SHA-256 {found}; the server's entity tag: {verdict}")
    return found


def _judge_etag(archive: Path, remote: Remote) -> str:
    """`matches`, `differs` or `untold`. S3's tag is the MD5 in hex, or the MD5 of the parts' MD5s and `-<parts>`, where
    the size of a part is not told: one of the usual sizes may prove it, none can disprove it."""
    digest, _, parts = remote.etag.strip('"').partition("-")
    if len(digest) != 32 or not set(digest) <= set("0123456789abcdef") or not (parts or "1").isdigit():
        return "untold"
    if not parts:
        with open(archive, "rb") as file:
            return "matches" if hashlib.file_digest(file, _md5).hexdigest() == digest else "differs"
    sizes = (size for size in _PART_SIZES if -(-remote.size // size) == int(parts))
    return "matches" if any(_md5_of_parts(archive, size) == digest for size in sizes) else "untold"


def _md5(data: bytes = b"") -> Any:
    return hashlib.md5(data, usedforsecurity=False)  # S3's tags are made so


def _md5_of_parts(path: Path, part_size: int) -> str:
    whole = _md5()
    with open(path, "rb") as file:
        while part := file.read(part_size):
            whole.update(_md5(part).digest())
    return str(whole.hexdigest())


def _install(archive: Path, folder: Path, terminal: Terminal) -> None:
    """Unpack beside `folder`, then move the data set there in one step."""
    draft = Path(tempfile.mkdtemp(prefix=f".{folder.name}-", dir=folder.parent))
    try:
        unpack(archive, draft, terminal)
        candidates = [draft, *(entry for entry in sorted(draft.iterdir()) if entry.is_dir())]
        found = [entry for entry in candidates if all((entry / split).is_dir() for split in SPLITS)]
        if not found:
            raise StepFailed(f"{archive} holds no folders {', '.join(SPLITS)}.", "Check the address.")
        _remove_broken(found[0], terminal)
        found[0].chmod(0o755)
        found[0].replace(folder)
    finally:
        shutil.rmtree(draft, ignore_errors=True)


def _remove_broken(folder: Path, terminal: Terminal) -> None:
    """Deletes the photos that cannot be used: the trainer leaves them out, and what nobody can mend is of no use."""
    listings = [list_photos(folder / split) for split in SPLITS]
    files = [path for listing in listings for photos in listing.classes.values() for path in photos]
    with terminal.bar("looking at every photo", len(files)) as advance, ThreadPoolExecutor() as pool:
        for path, verdict in zip(files, pool.map(judge, files), strict=True):
            advance(1)
            if verdict.error:
                path.unlink()
                terminal.say(f"Removed {path.relative_to(folder)}: it is broken.")


def _forget(archive: Path) -> None:
    archive.unlink(missing_ok=True)
    archive.with_suffix(".part.json").unlink(missing_ok=True)

"""What an instance's user data asks for: a pure reading of the forms that cloud-init knows.

Source: "User data formats" of cloud-init, https://docs.cloud-init.io/en/latest/explanation/format.html. What this host
does not do is named, never passed over in silence.
"""

import base64
import binascii
import email
import zlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from email.message import Message
from typing import Any

MAX_BYTES = 10 << 20  # (ours) of what is unpacked: 16 KB of gzip can become 16 MB
_GZIP = b"\x1f\x8b"
_SCRIPT, _CONFIG = "text/x-shellscript", "text/cloud-config"
_PREFIXES: Mapping[bytes, str] = {
    b"#!": _SCRIPT,
    b"#cloud-config-archive": "#cloud-config-archive",
    b"#cloud-config": _CONFIG,
    b"#cloud-boothook": "#cloud-boothook",
    b"#include": "#include",
    b"#part-handler": "#part-handler",
    b"#upstart-job": "#upstart-job",
    b"## template: jinja": "## template: jinja",
}
_NOT_DONE: Mapping[str, str] = {
    "text/cloud-boothook": "#cloud-boothook",
    "text/cloud-config-archive": "#cloud-config-archive",
    "text/x-include-url": "#include",
    "text/x-include-once-url": "#include-once",
    "text/part-handler": "#part-handler",
    "text/jinja2": "## template: jinja",
    "text/x-shellscript-per-boot": "a script for each boot",
    "text/x-shellscript-per-once": "a script for once",
    "text/x-shellscript-per-instance": "a script for each instance",
}
_KEYS = ("runcmd", "write_files")


@dataclass(frozen=True)
class Script:
    """A program of its own, which begins with `#!`."""

    name: str
    content: bytes


@dataclass(frozen=True)
class File:
    """What cloud-config's write_files writes."""

    path: str
    content: bytes
    mode: int = 0o644
    owner: str = "root:root"
    append: bool = False


@dataclass(frozen=True)
class UserData:
    """What to do, in this order; `notes` are sentences about what is not done."""

    files: tuple[File, ...] = ()
    commands: tuple[str, ...] = ()  # runcmd: lines of one script of /bin/sh
    scripts: tuple[Script, ...] = ()
    notes: tuple[str, ...] = ()


def read(data: bytes, load_yaml: Any) -> UserData:
    """Of the bytes that the metadata service gives. `load_yaml` reads the text of a cloud-config."""
    files: list[File] = []
    commands: list[str] = []
    scripts: list[Script] = []
    notes: list[str] = []
    try:
        for number, (kind, name, content) in enumerate(_parts(data), 1):
            if kind == _SCRIPT:
                scripts.append(Script(name or f"part-{number:03}", content))
            elif kind == _CONFIG:
                more = _config(content, load_yaml)
                files += more.files
                commands += more.commands
                notes += more.notes
            elif kind:
                notes.append(f"User data of the form {kind} is not run on this host.")
            elif content.strip():
                notes.append("User data begins with no form that cloud-init knows, such as #!: it is not run.")
    except ValueError as error:
        notes.append(f"User data cannot be read: {error}.")
    return UserData(tuple(files), tuple(commands), tuple(scripts), tuple(notes))


def _parts(data: bytes) -> Iterator[tuple[str, str, bytes]]:
    """Form, file name and content of each part; the form is empty where it is none."""
    data = _unpacked(data)
    if not _is_mime(data):
        yield _form(data), "", data
        return
    for part in email.message_from_bytes(data).walk():
        if part.is_multipart():
            continue
        content = _unpacked(_payload(part))
        kind = part.get_content_type()
        if kind in _NOT_DONE:
            yield _NOT_DONE[kind], "", content
        else:  # cloud-init believes the first line where the type says nothing
            yield kind if kind in (_SCRIPT, _CONFIG) else _form(content), part.get_filename() or "", content


def _form(content: bytes) -> str:
    return next((kind for prefix, kind in _PREFIXES.items() if content.lstrip().startswith(prefix)), "")


def _is_mime(data: bytes) -> bool:
    first = data.lstrip()[:64].lower()
    return first.startswith((b"mime-version:", b"content-type:"))


def _payload(part: Message) -> bytes:
    content = part.get_payload(decode=True)
    return content if isinstance(content, bytes) else b""


def _unpacked(data: bytes) -> bytes:
    if not data.startswith(_GZIP):
        return data
    unpacker = zlib.decompressobj(wbits=31)
    try:
        content = unpacker.decompress(data, MAX_BYTES)
    except zlib.error as error:
        raise ValueError(f"it is broken gzip ({error})") from error
    if unpacker.unconsumed_tail:
        raise ValueError(f"it unpacks to more than {MAX_BYTES >> 20} MiB")
    return content


def _config(content: bytes, load_yaml: Any) -> UserData:
    try:
        config = load_yaml(content.decode())
    except Exception as error:
        raise ValueError(f"its cloud-config is no YAML ({' '.join(str(error).split())})") from error
    if config is None:
        return UserData()
    if not isinstance(config, Mapping):
        raise ValueError("its cloud-config is no mapping")
    notes = [f"cloud-config: {name} is not done on this host." for name in config if name not in _KEYS]
    return UserData(
        tuple(_file(each) for each in _list(config, "write_files")),
        tuple(_command(each) for each in _list(config, "runcmd")),
        notes=tuple(notes),
    )


def _list(config: Mapping[str, Any], name: str) -> Sequence[Any]:
    value = config.get(name) or ()
    if not isinstance(value, list | tuple):
        raise ValueError(f"{name} of its cloud-config is no list")
    return value


def _file(entry: Any) -> File:
    if not isinstance(entry, Mapping) or not isinstance(entry.get("path"), str):
        raise ValueError("a file of write_files has no path")
    mode = str(entry.get("permissions", "0644"))
    try:
        bits = int(mode, 8)
    except ValueError as error:
        raise ValueError(f"permissions of {entry['path']} are octal digits, not {mode}") from error
    content, encoding = str(entry.get("content", "")).encode(), str(entry.get("encoding", "text/plain"))
    return File(
        entry["path"],
        _decoded(content, encoding),
        bits,
        str(entry.get("owner", "root:root")),
        append=bool(entry.get("append", False)),
    )


def _decoded(content: bytes, encoding: str) -> bytes:
    try:
        if encoding in ("b64", "base64"):
            return base64.b64decode(content)
        if encoding in ("gz+b64", "gz+base64", "gzip+b64", "gzip+base64"):
            return _unpacked(base64.b64decode(content))
    except binascii.Error as error:
        raise ValueError(f"a file of write_files is no base64 ({error})") from error
    if encoding in ("gz", "gzip"):
        raise ValueError("a file of write_files in gzip must be in base64 too")
    return content


def _command(entry: Any) -> str:
    """A list is a program and its arguments, a text is a line of the shell."""
    if isinstance(entry, list):
        return " ".join("'" + str(word).replace("'", "'\\''") + "'" for word in entry)
    return str(entry)

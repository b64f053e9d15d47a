"""What user data asks of a host, and the files by which a host finds the stage."""

import base64
import gzip
import json
import sys
from collections.abc import Iterator
from email.mime.multipart import MIMEMultipart
from email.mime.text import MIMEText
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

FOLDER = Path(__file__).resolve().parents[3] / "containers" / "ec2-host"


@pytest.fixture(scope="module")
def user_data() -> Iterator[Any]:
    """The module of the image, where modules are files side by side."""
    yield from _module("user_data")


@pytest.fixture(scope="module")
def system() -> Iterator[Any]:
    yield from _module("system")


def _module(name: str) -> Iterator[Any]:
    sys.path.insert(0, str(FOLDER))
    yield import_module(name)
    sys.path.remove(str(FOLDER))
    del sys.modules[name]


def read(user_data: Any, data: bytes) -> Any:
    """With JSON for YAML, of which it is a part: the tests' environment has no YAML."""
    return user_data.read(data, lambda text: json.loads(text.removeprefix("#cloud-config")))


def test_a_script_is_run_as_it_is(user_data: Any) -> None:
    asked = read(user_data, b"#!/bin/bash\necho 1\n")
    assert [script.content for script in asked.scripts] == [b"#!/bin/bash\necho 1\n"]
    assert asked.notes == ()


def test_gzip_is_unpacked_but_not_for_ever(user_data: Any) -> None:
    assert read(user_data, gzip.compress(b"#!/bin/sh\n")).scripts[0].content == b"#!/bin/sh\n"
    bomb = read(user_data, gzip.compress(b"#!" + bytes(user_data.MAX_BYTES + 1)))
    assert (bomb.scripts, bomb.notes) == ((), ("User data cannot be read: it unpacks to more than 10 MiB.",))


def test_cloud_config_writes_files_and_runs_commands_and_names_the_rest(user_data: Any) -> None:
    config = {
        "write_files": [
            {"path": "/a", "content": "text"},
            {"path": "/b", "content": base64.b64encode(b"\x00\xff").decode(), "encoding": "b64", "permissions": "0755"},
            {
                "path": "/c",
                "content": base64.b64encode(gzip.compress(b"c")).decode(),
                "encoding": "gz+b64",
                "append": True,
            },
        ],
        "runcmd": ["echo $HOME", ["ls", "it's"]],
        "packages": ["htop"],
        "ssh_authorized_keys": [],
    }
    asked = read(user_data, b"#cloud-config\n" + json.dumps(config).encode())
    assert [(file.path, file.content, file.mode) for file in asked.files] == [
        ("/a", b"text", 0o644),
        ("/b", b"\x00\xff", 0o755),
        ("/c", b"c", 0o644),
    ]
    assert asked.commands == ("echo $HOME", "'ls' 'it'\\''s'")
    assert asked.notes == (
        "cloud-config: packages is not done on this host.",
        "cloud-config: ssh_authorized_keys is not done on this host.",
    )


def test_the_parts_of_a_mime_message_are_run_in_their_order(user_data: Any) -> None:
    whole = MIMEMultipart()
    whole.attach(MIMEText("#!/bin/sh\necho 1\n", "x-shellscript"))
    whole.attach(MIMEText('#cloud-config\n{"runcmd": ["echo 2"]}', "cloud-config"))
    whole.attach(MIMEText("#!/bin/sh\necho 3\n", "plain"))  # believed by its first line
    whole.attach(MIMEText("http://example.com/more", "x-include-url"))
    asked = read(user_data, whole.as_bytes())
    assert [script.content for script in asked.scripts] == [b"#!/bin/sh\necho 1\n", b"#!/bin/sh\necho 3\n"]
    assert asked.commands == ("echo 2",)
    assert asked.notes == ("User data of the form #include is not run on this host.",)


@pytest.mark.parametrize(
    ("data", "note"),
    [
        (b"echo 1", "begins with no form that cloud-init knows"),
        (b"#cloud-boothook\n", "of the form #cloud-boothook is not run"),
        (b"#cloud-config-archive\n", "of the form #cloud-config-archive is not run"),
        (b"## template: jinja\n#!/bin/sh\n", "of the form ## template: jinja is not run"),
        (b"#cloud-config\n[", "its cloud-config is no YAML"),
        (b"#cloud-config\n[]", "its cloud-config is no mapping"),
        (b'#cloud-config\n{"runcmd": "ls"}', "runcmd of its cloud-config is no list"),
        (b'#cloud-config\n{"write_files": [{}]}', "a file of write_files has no path"),
        (b"\x1f\x8b broken", "it is broken gzip"),
    ],
)
def test_what_is_not_run_is_named(user_data: Any, data: bytes, note: str) -> None:
    asked = read(user_data, data)
    assert (asked.files, asked.commands, asked.scripts) == ((), (), ())
    assert note in asked.notes[0]


def test_a_host_without_user_data_has_nothing_to_do(user_data: Any) -> None:
    assert read(user_data, b"") == user_data.UserData()


def test_the_stage_is_found_by_files_alone(system: Any, tmp_path: Path) -> None:
    known = {"AWS_ENDPOINT_URL": "http://localstack:4566", "STAGEMAKER_REGISTRIES": "a.example,localhost:5000"}
    system.prepare({**known, "STAGEMAKER_TOKEN": "secret"}, tmp_path)
    assert (tmp_path / "etc/environment").read_text() == 'AWS_ENDPOINT_URL="http://localstack:4566"\n'
    assert '"AWS_ENDPOINT_URL=http://localstack:4566"' in (tmp_path / "etc/containers/containers.conf").read_text()
    registries = (tmp_path / "etc/containers/registries.conf").read_text()
    assert registries.count("insecure = true") == 2
    assert 'location = "localhost:5000"' in registries
    assert not [path for path in tmp_path.rglob("*") if path.is_file() and "secret" in path.read_text()]

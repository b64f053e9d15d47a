"""An image for the tests of the Docker runtime, whose programs a test writes: the environment's SOURCE, in Python."""

import os
import uuid
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest
from docker.api import APIClient

from stagemaker.runtime.docker.engine import DEFAULT_URL, Engine, EngineGone

DOCKERFILE = """
FROM python:3.13-slim
ENV PYTHONUNBUFFERED=1
LABEL com.amazonaws.sagemaker.capabilities.accept-bind-to-port=true
WORKDIR /opt/ml
COPY train bare serve text foreign /usr/local/bin/
"""
# The kernel keeps SIGTERM from PID 1 unless that has a handler. `train` is about ordinary programs, so it is a child of
# a PID 1 that passes the signal on and does nothing else; `bare` is PID 1 itself, as an image's program mostly is, and
# so is `serve`.
TRAIN = """#!/usr/local/bin/python
import os, pathlib, signal, sys, time
signal.signal(signal.SIGTERM, lambda *_: os.kill(child, signal.SIGTERM))
child = os.fork()
if child == 0:
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    exec(os.environ["SOURCE"])
    sys.exit()
code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
sys.exit(code if code >= 0 else 128 - code)
"""
BARE = """#!/usr/local/bin/python
import os, pathlib, signal, sys, time
exec(os.environ["SOURCE"])
"""


def docker_url() -> str:
    """Of the engine; where none answers the test is skipped, or fails where STAGEMAKER_REQUIRE_DOCKER is set."""
    url = os.environ.get("DOCKER_HOST") or DEFAULT_URL
    try:
        Engine(url)
    except EngineGone as error:
        if os.environ.get("STAGEMAKER_REQUIRE_DOCKER"):
            raise
        pytest.skip(str(error))
    return url


@contextmanager
def built(folder: Path) -> Iterator[str]:
    """The image's name, with the tag latest; it is gone afterwards."""
    name = f"stagemaker-test-{uuid.uuid4().hex[:8]}"
    (folder / "Dockerfile").write_text(DOCKERFILE)
    for program, text in (("train", TRAIN), ("bare", BARE), ("serve", BARE), ("text", "no program")):
        (folder / program).write_text(text)
        (folder / program).chmod(0o644 if program == "text" else 0o755)
    (folder / "foreign").write_bytes(b"\x7fELF of another machine")
    (folder / "foreign").chmod(0o755)
    with closing(APIClient(base_url=docker_url(), version="1.43", timeout=120)) as client:
        answers = client.build(path=str(folder), tag=name, rm=True, decode=True, labels={"com.stagemaker": "1"})
        errors = [answer["error"] for answer in answers if "error" in answer]
        assert not errors
        try:
            yield name
        finally:
            client.remove_image(name, force=True)

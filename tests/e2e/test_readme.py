"""Every command block of README.md and of docs/by-hand.md runs, without Docker. tests/containers/test_readme.py runs
those for containers, and tests/aws what is for AWS."""

import shutil
import threading
import zipfile
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from benchmarks.ports import free_port
from infra.data import digits
from infra.paths import CHECKOUT, paths
from tests.e2e import readme
from tests.e2e.environment import Environment, leftovers

# A new block must be added here, and to a test.
BLOCKS = [
    "make demo",
    "DATA=<folder> make demo",
    "DOCKER=1 make demo",
    "make up",
    "export AWS_ENDPOINT_URL",
    "make start",
    "make rehearse",
    "make plan TARGET=aws",
]
BLOCKS_BY_HAND = ["KEEP=1 make demo", "export AWS_ENDPOINT_URL"]


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A copy of this checkout, with its environments but nothing else that was made in it."""
    copy = tmp_path / "checkout"
    left_out = shutil.ignore_patterns(".git", ".stagemaker", "__pycache__", ".*_cache")
    shutil.copytree(CHECKOUT, copy, ignore=left_out)
    (copy / ".stagemaker").mkdir()
    (copy / ".stagemaker" / "env").symlink_to(paths({}).environments)
    return copy


@pytest.fixture
def here(checkout: Path, tmp_path: Path) -> Iterator[Environment]:
    """The environment of the copy's stack, with 200 pictures, since this is not about what a model learns."""
    data = digits.make(tmp_path / "data" / "digits", per_class=20)
    one = Environment(paths({}, checkout), free_port(), data)
    yield one
    one.host.stop()
    assert leftovers(checkout) == []


@pytest.mark.parametrize(("document", "blocks"), [("README.md", BLOCKS), (readme.BY_HAND, BLOCKS_BY_HAND)])
def test_every_block_is_known(document: str, blocks: list[str]) -> None:
    found = readme.blocks(document)
    assert [block.text.startswith(begin) for block, begin in zip(found, blocks, strict=True)] == [True] * len(found)


def test_the_blocks_run_as_processes(here: Environment, checkout: Path, tmp_path: Path) -> None:
    variables = here.variables | {"PATH": readme.path_with_aws(tmp_path)}
    replaced = {"4566": str(here.port), ".stagemaker/data/digits": str(here.digits), "epochs=5": "epochs=1"}
    run = partial(readme.run, checkout=checkout, environment=variables, replaced=replaced)
    start, *commands, stop = readme.block("make start").splitlines()
    keep = readme.block("KEEP=1 make demo", readme.BY_HAND)
    said = run("\n".join([keep, readme.by_hand(), *commands, stop, start, stop]))
    assert "build: " not in said, "processes need no images"
    assert "Completed" in said
    assert '"statusCode": 200' in said
    assert "Nothing changed: all is as planned." in said, "by hand is beside the demo's own, which deploy finds"
    assert "Deleted " in said
    assert said.count("Stopped.\n") == 2


def test_the_data_set_is_fetched(here: Environment, checkout: Path, tmp_path: Path) -> None:
    served = tmp_path / "served"
    served.mkdir()
    with zipfile.ZipFile(served / "dogImages.zip", "w") as archive:
        for path in here.digits.rglob("*.png"):
            archive.write(path, Path("dogImages") / path.relative_to(here.digits))
    handler = partial(SimpleHTTPRequestHandler, directory=str(served))
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            url = f"http://127.0.0.1:{server.server_address[1]}/dogImages.zip"
            (line,) = [one for one in readme.block("DATA=<folder>").splitlines() if one.startswith("make data")]
            said = readme.run(line, checkout, here.variables | {"URL": url}, {})
        finally:
            server.shutdown()
            thread.join()
    folder = checkout / ".stagemaker" / "data" / "dogImages"
    assert f"Use it: DATA={folder}" in said.replace("\n", "")
    assert (folder / "test" / "digit-0").is_dir()

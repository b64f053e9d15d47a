"""The sizes of the images and the times of their builds, in a copy of the checkout.

A cold build finds only downloaded packages in the cache. The other build follows the change of one line of code; its
goal is under 5 s for each image.
"""

import shutil
import subprocess
import tempfile
import uuid
from functools import partial
from pathlib import Path

from benchmarks.environment import PROJECT, docker
from benchmarks.timing import in_turn, once, summary, write
from infra.paths import CHECKOUT

CODE = {
    "localstack": "plugin/stagemaker/app.py",
    "lambda": "containers/lambda/handler.py",
    "serve": "containers/serve/app.py",
    "trainer": "ml/fit.py",
}


def main(rounds: int) -> None:
    """Measures the scenario and writes its figures."""
    figures: dict[str, object] = {}
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder) / "checkout"
        _copy(copy)
        for name, source in CODE.items():
            cold_s = once(partial(_build, copy, name))
            changed = in_turn(rounds, {name: partial(_changed, copy, name, source)})
            size = int(docker("image", "inspect", "--format", "{{.Size}}", f"{PROJECT}-{name}:latest"))
            figures[name] = {
                "size_mb": round(size / 1e6),
                "cold_s": round(cold_s, 1),
                "after a code change": summary(changed[name]),
            }
            docker("image", "rm", "--force", f"{PROJECT}-{name}")
    write("image_builds", figures)


def _copy(folder: Path) -> None:
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=CHECKOUT, capture_output=True, text=True, check=True).stdout
    for name in filter(None, listed.split("\0")):
        if (CHECKOUT / name).is_file():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(CHECKOUT / name, folder / name)
    # A lock that no build has read makes the build cold. --no-cache would leave two layers of the same step in the
    # cache, and later builds of trainer and serve-gpu would no longer share one.
    for lock in (folder / "requirements").glob("*.txt"):
        with lock.open("a") as file:
            file.write(f"# {uuid.uuid4()}\n")


def _build(folder: Path, name: str) -> None:
    file = f"containers/{name}/Dockerfile"
    docker("build", "--quiet", "--file", str(folder / file), "--tag", f"{PROJECT}-{name}", str(folder))


def _changed(folder: Path, name: str, source: str) -> None:
    with open(folder / source, "a") as file:
        file.write("# changed\n")
    _build(folder, name)

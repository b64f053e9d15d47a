"""The text of the Dockerfiles: what can be checked without a build."""

import re
from pathlib import Path

import pytest

from tests.unit.sources import ROOT, imports, sources

DOCKERFILES = sorted((ROOT / "containers").glob("*/Dockerfile"))


def stage(path: Path, name: str) -> str:
    """The text of one stage, without the comments."""
    found = re.search(rf"^FROM \S+ AS {name}\n.*?(?=^FROM |\Z)", path.read_text(), re.MULTILINE | re.DOTALL)
    assert found
    return "".join(line for line in found[0].splitlines(keepends=True) if line.strip() and line[0] != "#")


def test_trainer_and_gpu_serving_make_the_same_torch_layer() -> None:
    trainer, serve = (ROOT / "containers" / name / "Dockerfile" for name in ("trainer", "serve"))
    assert stage(trainer, "uv") == stage(serve, "uv")
    assert stage(trainer, "torch") == stage(serve, "torch")


@pytest.mark.parametrize("target", ["cpu", "gpu"])
def test_the_serving_images_say_what_sagemaker_may_use_them_for(target: str) -> None:
    text = stage(ROOT / "containers" / "serve" / "Dockerfile", target)
    for capability in ("accept-bind-to-port", "multi-models"):
        assert f"com.amazonaws.sagemaker.capabilities.{capability}=true " in text


def test_the_cpu_serving_image_has_the_files_of_ml_that_its_code_imports() -> None:
    """And no others. One file of the server is for the gpu image, which has all of ml."""
    waiting = [path for path in sources("containers/serve") if path.name != "cuda.py"]
    needed = {"ml/__init__.py"}
    while waiting:
        files = {f"{name.replace('.', '/')}.py" for name in imports(waiting.pop()) if name.startswith("ml.")}
        found = {file for file in files if (ROOT / file).is_file()} - needed
        needed |= found
        waiting += [ROOT / file for file in found]
    copied = re.findall(r"\bml/\w+\.py", stage(ROOT / "containers" / "serve" / "Dockerfile", "cpu"))
    assert sorted(copied) == sorted(needed)


@pytest.mark.parametrize("path", DOCKERFILES, ids=lambda path: path.parent.name)
def test_everything_is_installed_from_hashed_locks(path: Path) -> None:
    text = path.read_text().replace("\\\n", "")
    installs = [line for line in text.splitlines() if "pip install" in line]
    assert installs
    assert all("--require-hashes" in line or "--no-deps --no-build-isolation /plugin" in line for line in installs)
    assert not text.startswith("# syntax"), "a syntax line would make the engine pull a frontend"


@pytest.mark.parametrize("path", DOCKERFILES, ids=lambda path: path.parent.name)
def test_the_context_lists_existing_paths_without_wildcards(path: Path) -> None:
    lines = path.with_name("Dockerfile.dockerignore").read_text().splitlines()
    assert lines[1] == "*"
    wanted = [line[1:] for line in lines if line.startswith("!")]
    assert [name for name in wanted if "*" in name or not (ROOT / name).exists()] == []

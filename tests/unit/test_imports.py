"""The import rules of docs/architecture.md, read from the syntax trees: no code is run."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
OURS = ("ml", "containers", "infra", "stagemaker")
STAGE = ROOT / "plugin" / "stagemaker"
# A pure module decides; reading a clock, a file, a socket or dice is somebody else's work.
IMPURE = {
    "asyncio", "http", "io", "multiprocessing", "os", "random", "secrets", "shutil", "signal", "socket",
    "ssl", "subprocess", "tarfile", "tempfile", "threading", "time", "urllib", "uuid",
}  # fmt: skip


def sources(folder: str) -> list[Path]:
    """Every Python file below a folder, the entry points without an ending included."""
    return sorted(
        path
        for path in (ROOT / folder).rglob("*")
        if path.is_file() and (path.suffix == ".py" or path.name in ("train", "serve"))
    )


def imports(path: Path) -> Iterator[str]:
    """Full dotted names of what a file imports, at any depth of the file."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            yield node.module or ""
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def within(name: str, *packages: str) -> bool:
    """Whether a dotted name is one of the packages or lies in one."""
    return any(name == package or name.startswith(package + ".") for package in packages)


@pytest.mark.parametrize(
    ("folder", "forbidden", "allowed"),
    [
        ("ml", OURS, ("ml",)),
        ("containers/trainer", OURS, ("ml",)),
        ("containers/serve", OURS, ("containers.serve", "ml")),
        ("containers/lambda", OURS, ()),
        ("infra", (*OURS, "torch", "localstack"), ("infra",)),
        ("benchmarks", (*OURS, "localstack"), ("infra",)),
        ("plugin", OURS, ("stagemaker",)),
    ],
)
def test_a_part_imports_only_the_parts_below_it(
    folder: str, forbidden: tuple[str, ...], allowed: tuple[str, ...]
) -> None:
    files = sources(folder)
    assert files
    for path in files:
        wrong = [name for name in imports(path) if within(name, *forbidden) and not within(name, *allowed)]
        assert not wrong, f"{path.relative_to(ROOT)} imports {wrong}"


def test_the_serving_container_reads_only_preprocessing_and_the_artifact() -> None:
    """But for one file, which the gpu image alone loads."""
    for path in sources("containers/serve"):
        if path.name == "cuda.py":
            continue
        wrong = [n for n in imports(path) if n.startswith("ml.") and not within(n, "ml.preprocess", "ml.artifact")]
        wrong += [n for n in imports(path) if within(n, "torch", "torchvision", "timm", "safetensors")]
        assert not wrong, f"{path.relative_to(ROOT)} imports {wrong}"


@pytest.mark.parametrize(
    ("package", "importers"),
    [
        ("localstack", {"plugin.py", "functions/lambda_adapter.py"}),
        ("boto3", {"aws.py"}),
        ("docker", {"runtime/docker.py"}),
    ],
)
def test_only_one_file_of_the_plugin_knows_a_package(package: str, importers: set[str]) -> None:
    found = {
        path.relative_to(STAGE).as_posix()
        for path in sources("plugin/stagemaker")
        if any(within(name, package) for name in imports(path))
    }
    assert found <= importers


def test_plans_searches_and_policies_are_pure() -> None:
    pure = [p for p in sources("plugin/stagemaker") if p.stem.endswith(("_plan", "_search", "_policy"))]
    assert pure
    for path in pure:
        wrong = [name for name in imports(path) if name.split(".")[0] in IMPURE]
        assert not wrong, f"{path.name} imports {wrong}"

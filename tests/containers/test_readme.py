"""Every command block of README.md and docs/by-hand.md that is for containers, or for both, runs on one stack in
containers."""

from functools import partial
from pathlib import Path

from infra.data import digits
from infra.paths import CHECKOUT
from tests.containers.container_stack import ContainerStack, docker, left_in_the_engine
from tests.e2e import readme


def own_image() -> str:
    """The block that pushes any image."""
    (found,) = [one.text for one in readme.blocks() if "create-repository" in one.text]
    return found


def test_the_blocks_run_in_containers(stack: ContainerStack, tmp_path: Path) -> None:
    data = digits.make(tmp_path / "data" / "digits", per_class=20)  # this is not about what a model learns
    variables = stack.variables | {"PATH": readme.path_with_aws(tmp_path), "NAMES": "lambda", "DATA": str(data)}
    replaced = {
        "4566": str(stack.port),
        ".stagemaker/data/digits/test/digit-7/7-017.png": str(min((data / "test" / "digit-7").iterdir())),
        ".stagemaker/data/digits": str(data),
        "epochs=5": "epochs=1",
        "<image>": "stagemaker/lambda",
    }
    run = partial(readme.run, checkout=CHECKOUT, environment=variables, replaced=replaced)
    *steps, down = readme.block("make up").splitlines()
    start, *commands, stop = readme.block("make start").splitlines()
    assert [line.split("#")[0].strip() for line in (start, stop, down)] == ["make start", "make stop", "make down"]
    try:
        said = run("\n".join([*steps, own_image(), readme.by_hand(), *commands]))
    finally:
        ended = run(down)
        docker("logout", f"localhost:{stack.registry_port}")
    assert "Completed" in said
    assert '"statusCode": 200' in said
    assert "resources." in said.splitlines()[-1]
    assert ended.endswith("Stopped.\n")
    assert left_in_the_engine() == []

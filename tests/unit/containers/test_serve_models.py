"""What is loaded, in what order and for how much memory: with a loader that the test controls."""

import asyncio
import threading
from collections.abc import Awaitable, Callable
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest

from containers.serve.engines import Engine, EngineChoice, Logits
from containers.serve.model import Model, memory_bytes
from containers.serve.models import Loader, Models
from containers.serve.refused import Refused
from containers.serve.settings import MAX_LOADING
from ml.artifact import ONNX_FILE, WEIGHTS_FILE, BadArtifact, ModelCard
from tests.unit.containers.serve_process import CLASSES, PREPROCESSING, TIMEOUT_S


def run(batch: npt.NDArray[np.float32]) -> Logits:
    return batch.sum(axis=(2, 3))


class ControlledLoader:
    """Loads a model when the test lets it. Every load takes a memory of 1."""

    def __init__(self) -> None:
        self.folders: list[str] = []
        self.failures: list[Exception] = []
        self.go_on = threading.Event()

    def load(self, folder: Path) -> Model:
        self.folders.append(folder.name)
        assert self.go_on.wait(TIMEOUT_S)
        if self.failures:
            raise self.failures.pop(0)
        engine = Engine(EngineChoice("onnx"), run)
        return Model(ModelCard(CLASSES, folder.name, PREPROCESSING, {}, {}, "", {}, {}), engine)


def with_models(test: Callable[[Models, ControlledLoader], Awaitable[None]], limit_bytes: int = 100) -> None:
    """Runs the test in an event loop."""
    loader = ControlledLoader()
    models = Models(Path("/models"), limit_bytes, Loader(loader.load, lambda _: 1))

    async def limited() -> None:
        async with asyncio.timeout(TIMEOUT_S):
            await test(models, loader)

    try:
        asyncio.run(limited())
    finally:
        loader.go_on.set()
        models.close()


async def turns() -> None:
    """Lets every task go on to where it waits for something else than a turn."""
    for _ in range(10):
        await asyncio.sleep(0)


async def refusal(answer: Awaitable[None]) -> tuple[int, str]:
    with pytest.raises(Refused) as caught:
        await answer
    return caught.value.status, caught.value.message


def test_others_are_used_while_a_model_is_loaded() -> None:
    async def test(models: Models, loader: ControlledLoader) -> None:
        loader.go_on.set()
        await models.load("a", "/models/a")
        loader.go_on.clear()
        loading = asyncio.create_task(models.load("b", "/models/b"))
        await turns()
        with models.use("a") as model:
            assert model.card.backbone == "a"
        assert list(models.urls()) == ["a"]
        assert not loading.done()
        loader.go_on.set()
        await loading
        assert models.urls() == {"a": "/models/a", "b": "/models/b"}

    with_models(test)


def test_a_second_load_of_a_name_waits_for_the_first() -> None:
    async def test(models: Models, loader: ControlledLoader) -> None:
        first, second = (asyncio.create_task(models.load("a", f"/models/{folder}")) for folder in "xy")
        await turns()
        assert not second.done()
        loader.go_on.set()
        await first
        assert await refusal(second) == (409, "The model 'a' is loaded already.")
        assert loader.folders == ["x"]

    with_models(test)


def test_a_second_load_of_a_name_takes_over_when_the_first_fails() -> None:
    async def test(models: Models, loader: ControlledLoader) -> None:
        loader.failures.append(BadArtifact("It is broken."))
        tasks = [asyncio.create_task(models.load("a", f"/models/{folder}")) for folder in "xyz"]
        await turns()
        loader.go_on.set()
        assert await refusal(tasks[0]) == (400, "It is broken.")
        await tasks[1]
        assert await refusal(tasks[2]) == (409, "The model 'a' is loaded already.")
        assert (models.url("a"), loader.folders) == ("/models/y", ["x", "y"])

    with_models(test)


def test_memory_is_reserved_while_a_model_is_loaded_and_free_again_after_a_failure() -> None:
    async def test(models: Models, loader: ControlledLoader) -> None:
        loader.failures += [MemoryError(), PermissionError(13, "Permission denied")]
        first = asyncio.create_task(models.load("a", "/models/a"))
        await turns()
        no_memory = (507, "The model takes 1 bytes of memory, and 0 are free.")
        assert await refusal(models.load("b", "/models/b")) == no_memory
        loader.go_on.set()
        assert await refusal(first) == (507, "There is not enough memory for the model.")
        sentence = "The model's files cannot be read: Permission denied."
        assert await refusal(models.load("b", "/models/b")) == (400, sentence)
        await models.load("c", "/models/c")
        assert await refusal(models.load("d", "/models/d")) == no_memory

    with_models(test, limit_bytes=1)


def test_a_model_in_use_keeps_its_memory_until_the_last_request_ends() -> None:
    async def test(models: Models, loader: ControlledLoader) -> None:
        loader.go_on.set()
        await models.load("a", "/models/a")
        with models.use("a"):
            with models.use("a"):
                unloading = asyncio.create_task(models.unload("a"))
                await turns()
                assert (await refusal(models.unload("a")))[0] == 404
            await turns()
            assert not unloading.done()
            assert (await refusal(models.load("a", "/models/b")))[0] == 507
        await unloading
        await models.load("a", "/models/b")
        assert models.url("a") == "/models/b"

    with_models(test, limit_bytes=1)


def test_the_number_of_loads_that_wait_is_bounded() -> None:
    async def test(models: Models, loader: ControlledLoader) -> None:
        waiting = [asyncio.create_task(models.load(str(i), f"/models/{i}")) for i in range(MAX_LOADING)]
        await turns()
        assert (await refusal(models.load("more", "/models/more")))[0] == 503
        loader.go_on.set()
        await asyncio.gather(*waiting)
        assert len(models.urls()) == MAX_LOADING

    with_models(test)


def test_the_memory_of_a_model_is_that_of_the_file_that_its_engine_loads(tmp_path: Path) -> None:
    (tmp_path / ONNX_FILE).write_bytes(bytes(1000))
    (tmp_path / WEIGHTS_FILE).write_bytes(bytes(3000))
    assert [memory_bytes(tmp_path, engine) - (8 << 20) for engine in ("onnx", "torch")] == [2000, 6000]
    assert memory_bytes(tmp_path, "openvino") == (64 << 20) + 3000
    assert memory_bytes(tmp_path / "none", "onnx") == 0

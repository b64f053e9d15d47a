"""Every engine gives the same logits, and the engine of a model in use is replaced without a wrong answer."""

import threading
import weakref
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from containers.serve import choice_cache
from containers.serve import improver as improver_module
from containers.serve.choice import Speed, candidates
from containers.serve.engines import SAFE_CHOICE, EngineChoice, load_engine
from containers.serve.improver import Improver
from containers.serve.model import Model
from containers.serve.settings import ServeSettings
from ml.artifact import CARD_FILE, INT8_FILE, ONNX_FILE, BadArtifact, read_card
from tests.unit.containers.serve_process import invoke, npy, serving, wait_until, write_model

OPENVINO = EngineChoice("openvino")
IMAGES = np.random.default_rng(0).normal(size=(5, 3, 16, 16)).astype(np.float32)
EXPECTED = 10 * IMAGES.mean(axis=(2, 3))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("ml") / "model"
    write_model(path)
    return path


@pytest.mark.parametrize("choice", [SAFE_CHOICE, *candidates(["f32"], 2)], ids=str)
def test_every_engine_gives_the_same_logits_from_several_threads(folder: Path, choice: EngineChoice) -> None:
    engine = load_engine(folder, read_card(folder), choice, 2)
    found: list[bool] = []

    def run() -> None:
        for count in (1, 5, 2):
            found.append(np.allclose(engine.run(IMAGES[:count]), EXPECTED[:count], atol=1e-4))

    threads = [threading.Thread(target=run) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [True] * 12


@pytest.mark.parametrize("choice", [SAFE_CHOICE, OPENVINO], ids=str)
def test_a_graph_that_cannot_be_used_is_refused(folder: Path, tmp_path: Path, choice: EngineChoice) -> None:
    write_model(tmp_path / "other", outputs=4)
    with pytest.raises(BadArtifact, match=r"answers \(1, 4\) where the model card has 3 classes"):
        load_engine(tmp_path / "other", read_card(tmp_path / "other"), choice, 1)
    (tmp_path / "other" / ONNX_FILE).write_bytes(b"broken")
    with pytest.raises(BadArtifact, match=r"model\.onnx cannot be loaded"):
        load_engine(tmp_path / "other", read_card(folder), choice, 1)


def test_a_precision_whose_accuracy_was_not_measured_is_refused(folder: Path) -> None:
    with pytest.raises(BadArtifact, match="does not say how accurate the model is in bf16"):
        Model.load(folder, 1, EngineChoice("openvino", "bf16"))


def test_int8_runs_a_graph_of_its_own_where_the_card_knows_its_accuracy(folder: Path, tmp_path: Path) -> None:
    write_model(tmp_path / "model")
    write_model(tmp_path / "other", scale=11)
    card = replace(read_card(folder), metrics={"precisions": {"int8": {"differing_share": 0.2}}})
    (tmp_path / "model" / CARD_FILE).write_text(card.to_json())
    int8 = EngineChoice("openvino", "int8")
    with pytest.raises(BadArtifact, match=r"has no model\.int8\.onnx"):
        Model.load(tmp_path / "model", 1, int8)
    (tmp_path / "other" / ONNX_FILE).rename(tmp_path / "model" / INT8_FILE)
    assert np.allclose(Model.load(tmp_path / "model", 1, int8).run(IMAGES), 1.1 * EXPECTED, atol=1e-4)
    assert card.default_precisions == ("f32",)  # int8 changes too much: only an operator's setting chooses it


def test_a_precision_that_the_engine_does_not_compute_in_is_refused(folder: Path) -> None:
    with pytest.raises(BadArtifact):
        load_engine(folder, read_card(folder), EngineChoice("openvino", "int3"), 1)


def settings(folder: Path, cache: Path, threads: int = 1) -> ServeSettings:
    environ = {"SAGEMAKER_BASE_DIR": str(folder.parent), "STAGEMAKER_SERVE_CACHE": str(cache)}
    return ServeSettings.from_environment(environ | {"STAGEMAKER_SERVE_THREADS": str(threads)})


def key(folder: Path, threads: int = 1) -> str:
    return choice_cache.key(folder, threads, choice_cache.cpu_text())


def test_the_engine_is_replaced_while_requests_use_it_and_the_former_is_freed(folder: Path, tmp_path: Path) -> None:
    model = Model.load(folder, 1, SAFE_CHOICE)
    former = weakref.ref(model.engine)
    choice_cache.write(tmp_path, key(folder), OPENVINO)
    wrong, ended = [], threading.Event()

    def run() -> None:
        while not ended.is_set():
            answer = model.run(IMAGES)
            if not np.allclose(answer, EXPECTED, atol=1e-4):
                wrong.append(answer)

    threads = [threading.Thread(target=run) for _ in range(2)]
    for thread in threads:
        thread.start()
    improver = Improver(model, settings(folder, tmp_path), lambda: 0.0)
    try:
        wait_until(lambda: model.engine.choice == OPENVINO)
        wait_until(lambda: former() is None)
    finally:
        ended.set()
        for thread in threads:
            thread.join()
        improver.close()
    assert wrong == []


def test_an_idle_server_measures_and_keeps_its_choice(folder: Path, tmp_path: Path) -> None:
    model = Model.load(folder, 1, SAFE_CHOICE)
    improver = Improver(model, settings(folder, tmp_path / "cache"), lambda: 1e9)
    try:
        wait_until(lambda: (tmp_path / "cache" / f"{key(folder)}.json").exists())
        kept = choice_cache.read(tmp_path / "cache", key(folder), [SAFE_CHOICE, *candidates(["f32"], 1)])
        assert kept
        wait_until(lambda: model.engine.choice == kept)
    finally:
        improver.close()


def test_a_busy_server_measures_nothing(folder: Path, tmp_path: Path) -> None:
    asked = threading.Event()

    def idle_s() -> float:
        asked.set()
        return 0.0

    model = Model.load(folder, 1, SAFE_CHOICE)
    improver = Improver(model, settings(folder, tmp_path / "cache"), idle_s)
    wait_until(asked.is_set)
    improver.close()
    assert (model.engine.choice, (tmp_path / "cache").exists()) == (SAFE_CHOICE, False)


@pytest.mark.parametrize("later_s", [1e9, 0.0], ids=["while it measures", "while it is stopped"])
def test_the_end_of_the_server_ends_the_measuring(folder: Path, tmp_path: Path, later_s: float) -> None:
    asked: list[None] = []

    def idle_s() -> float:
        asked.append(None)
        return 1e9 if len(asked) == 1 else later_s

    improver = Improver(Model.load(folder, 1, SAFE_CHOICE), settings(folder, tmp_path / "cache"), idle_s)
    wait_until(lambda: len(asked) > 3)  # the first time before it measures, then while it does
    improver.close()
    assert not (tmp_path / "cache").exists()


def test_measuring_that_is_stopped_for_long_ends_and_begins_again(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Requests come again and again, and each time longer than a process may be stopped."""
    monkeypatch.setattr(improver_module, "MAX_STOP_S", 0.0)
    started: list[None] = []
    asked: list[None] = []

    class CountingImprover(Improver):
        def _measure(self) -> dict[EngineChoice, Speed] | None:
            started.append(None)
            asked.clear()
            return super()._measure()

    def idle_s() -> float:
        asked.append(None)
        return 0.0 if started and len(asked) < 3 else 1e9

    improver = CountingImprover(Model.load(folder, 1, SAFE_CHOICE), settings(folder, tmp_path / "cache"), idle_s)
    try:
        wait_until(lambda: len(started) > 2)
    finally:
        improver.close()
    assert not (tmp_path / "cache").exists()


def test_a_server_with_a_kept_choice_answers_and_says_what_it_runs_on(folder: Path, tmp_path: Path) -> None:
    choice_cache.write(tmp_path, key(folder, 2), replace(OPENVINO, streams=2))
    environment = {"STAGEMAKER_SERVE_CACHE": str(tmp_path), "STAGEMAKER_SERVE_THREADS": "2"}
    with serving(folder.parent, STAGEMAKER_SERVE_ENGINE="auto", **environment) as (client, _process):
        expected = invoke(client, npy(IMAGES), "application/x-npy").json()
        running = 'engine_info{engine="openvino",precision="f32",streams="2"} 1'
        wait_until(lambda: running in client.get("/metrics").text)
        np.testing.assert_allclose(invoke(client, npy(IMAGES), "application/x-npy").json(), expected, atol=1e-4)
        np.testing.assert_allclose(expected, EXPECTED, atol=1e-4)

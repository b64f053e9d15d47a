"""Features are the same bits for any number of threads, and nearly those of PyTorch; what computes them is no guess."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from ml import features as module
from ml.config import Config, ConfigError
from ml.context import Context
from ml.data import scan
from ml.export import write_graph
from ml.features import Features, FeaturesError, choose, classify, compute
from ml.model import Classifier, build, preprocessing
from ml.openvino_core import openvino_core
from ml.weights import Weights
from tests.unit.ml.data import write_dataset
from tests.unit.ml.stops import never

CONFIG = Config(weights="none", image_size=32)


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_dataset(tmp_path_factory.mktemp("data"), each=7)


@pytest.fixture(scope="module")
def model() -> Classifier:
    return build(CONFIG, 3, Weights(None, {"source": "none"}))


@pytest.fixture(scope="module")
def graph(model: Classifier, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("graph") / "model.onnx"
    write_graph(model, CONFIG.image_size, path)
    return path


@pytest.fixture
def computed(data: Path, model: Classifier, graph: Path) -> Callable[..., Features]:
    """A function that computes the features by an engine with a number of threads."""

    def run(engine: str, workers: int = 2) -> Features:
        config = replace(CONFIG, feature_engine=engine)
        lines: list[str] = []
        device = torch.device("cpu")
        context = Context(config, scan(data), preprocessing(config), device, workers, never, lines.append)
        return compute(model, context, lambda: graph)

    return run


@pytest.mark.parametrize(
    ("setting", "device", "capabilities", "engine"),
    [
        ("auto", "cpu", {"amx_bf16": True, "avx512_bf16": True}, "openvino-bf16"),
        ("auto", "cpu", {"amx_bf16": False, "avx512_bf16": True}, "openvino-f32"),
        ("auto", "cpu", {}, "openvino-f32"),
        ("auto", "cuda", {"amx_bf16": True}, "torch-f32"),
        ("openvino-f32", "cpu", {"amx_bf16": True}, "openvino-f32"),
        ("torch-f32", "cpu", {}, "torch-f32"),
    ],
)
def test_the_engine_follows_from_the_cpu_alone(
    setting: str, device: str, capabilities: dict[str, bool], engine: str
) -> None:
    assert str(choose(setting, device, capabilities)) == engine


def test_any_number_of_threads_computes_the_same_bits_and_nearly_those_of_pytorch(
    computed: Callable[..., Features],
) -> None:
    one, three, torchs = computed("openvino-f32", 1), computed("openvino-f32", 3), computed("torch-f32")
    assert one.tensors.keys() == {"train", "train mirrored", "valid", "test"}
    assert one.tensors.keys() == three.tensors.keys() == torchs.tensors.keys()
    for name, rows in one.tensors.items():
        assert rows.shape == (21, 1280)
        assert torch.equal(rows, three.tensors[name])
        assert float((rows - torchs.tensors[name]).abs().max()) < 1e-4 * float(rows.abs().max())
    assert one.train().shape == (42, 1280)
    assert {key: one.origin[key] for key in ("engine", "precision", "threads")} == {
        "engine": "openvino",
        "precision": "f32",
        "threads": 1,
    }


def computes_in_bf16() -> bool:
    return "BF16" in openvino_core().get_property("CPU", "OPTIMIZATION_CAPABILITIES")


def test_bf16_is_measured_where_the_cpu_has_it_and_refused_elsewhere(computed: Callable[..., Features]) -> None:
    if not computes_in_bf16():
        with pytest.raises(FeaturesError, match="not in bf16: set 'feature-engine' to auto"):
            computed("openvino-bf16")
        return
    found, exact = computed("openvino-bf16"), computed("openvino-f32")
    assert 0 <= found.origin["agreement"] <= 1
    assert torch.equal(found.tensors["valid"], exact.tensors["valid"])  # what judges is in f32
    assert not torch.equal(found.tensors["train"], exact.tensors["train"])


def test_where_bf16_disagrees_the_features_are_those_of_f32(
    computed: Callable[..., Features], monkeypatch: pytest.MonkeyPatch
) -> None:
    if not computes_in_bf16():
        pytest.skip("this CPU does not compute in bf16")
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: {"amx_bf16": True})
    monkeypatch.setattr(module, "MIN_AGREEMENT", 1.1)
    found = computed("auto")
    assert str(found.engine) == "openvino-f32"
    assert torch.equal(found.tensors["train"], computed("openvino-f32").tensors["train"])


def test_the_classifier_of_the_check_separates_classes() -> None:
    random = np.random.default_rng(0)
    labels = torch.from_numpy(random.integers(0, 3, 60))
    rows = torch.from_numpy(random.normal(size=(60, 8)).astype(np.float32))
    rows[torch.arange(60), labels] += 9
    assert torch.equal(classify(rows[:40], labels[:40], 3)(rows[40:]), labels[40:])


def test_features_only_is_for_a_frozen_backbone() -> None:
    with pytest.raises(ConfigError, match="'features-only' is for fine-tune=head"):
        Config(fine_tune="full", features_only=True)

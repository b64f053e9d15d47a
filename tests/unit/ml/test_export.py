"""An artifact is complete, equal to the network, and never half written."""

from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor, nn

from ml.artifact import INT8_FILE, MODEL_FILES, ModelCard, read_card
from ml.export import ExportError, check, export, versions
from ml.preprocess import Preprocessing

P = Preprocessing(32, 36, "bicubic", (0.5, 0.5, 0.5), (0.5, 0.5, 0.5))
CARD = ModelCard(("a", "b"), "tiny", P, {"valid_accuracy": 0.5}, versions(), "sha256:0", {}, {"source": "none"})
IMAGES = torch.randn(3, 3, 32, 32)


class Tiny(nn.Module):
    def __init__(self, bias: float = 0.0) -> None:
        super().__init__()
        self.conv, self.act, self.head = nn.Conv2d(3, 4, 3, 2), nn.ReLU6(inplace=True), nn.Linear(4, 2)
        self.bias = bias

    def forward(self, images: Tensor) -> Tensor:
        logits: Tensor = self.head(self.act(self.conv(images)).mean((2, 3)))
        return logits + self.bias


@pytest.fixture(scope="module")
def model() -> nn.Module:
    return Tiny().eval()


@pytest.fixture(scope="module")
def folder(model: nn.Module, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("model")
    export(model, CARD, IMAGES, path)
    return path


def test_the_artifact_is_complete(model: nn.Module, folder: Path) -> None:
    assert sorted(path.name for path in folder.iterdir()) == sorted(MODEL_FILES)
    assert read_card(folder) == CARD
    assert all((folder / name).stat().st_mode & 0o044 == 0o044 for name in MODEL_FILES)
    state = load_file(folder / "model.safetensors")
    assert all(torch.equal(state[name], value) for name, value in model.state_dict().items())


@pytest.mark.parametrize("count", [1, 2, 5])
def test_onnx_takes_any_number_of_images(model: nn.Module, folder: Path, count: int) -> None:
    session = onnxruntime.InferenceSession(folder / "model.onnx", providers=["CPUExecutionProvider"])
    images = torch.randn(count, 3, 32, 32)
    with torch.no_grad():
        np.testing.assert_allclose(session.run(["logits"], {"images": images.numpy()})[0], model(images), atol=1e-5)


def test_onnx_holds_no_metadata_of_the_training_machine(folder: Path) -> None:
    graph = onnx.load(folder / "model.onnx")
    onnx.checker.check_model(graph)
    assert not [node for node in graph.graph.node if node.metadata_props]


def test_what_is_measured_on_the_graph_is_in_the_card(model: nn.Module, tmp_path: Path) -> None:
    def measure(path: Path) -> dict[str, object]:
        assert path.name == "model.onnx"
        return {"bf16": {"differing_share": 0.005}}

    card = export(model, CARD, IMAGES, tmp_path, measure)
    assert read_card(tmp_path) == card
    assert card.measured_precisions == {"bf16": 0.005, "f32": 0.0}
    assert card.metrics["valid_accuracy"] == 0.5


def test_a_graph_in_int8_belongs_to_the_model_that_it_was_made_of(model: nn.Module, tmp_path: Path) -> None:
    def measure(path: Path) -> dict[str, object]:
        path.with_name(INT8_FILE).write_bytes(b"int8")
        return {"int8": {"differing_share": 0.02}}

    export(model, CARD, IMAGES, tmp_path, measure)
    assert (tmp_path / INT8_FILE).read_bytes() == b"int8"
    export(model, CARD, IMAGES, tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(MODEL_FILES)


def test_a_graph_that_differs_is_refused(folder: Path) -> None:
    with pytest.raises(ExportError, match="differ from PyTorch's by"):
        check(Tiny(bias=0.5).eval(), folder / "model.onnx", IMAGES)


def test_nothing_is_written_when_the_export_fails(tmp_path: Path) -> None:
    class Random(Tiny):
        def forward(self, images: Tensor) -> Tensor:
            return super().forward(images) + torch.rand(())

    (tmp_path / "model.json").write_text("the older card")
    with pytest.raises(ExportError):
        export(Random(), CARD, IMAGES, tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["model.json"]

"""What a lower precision changes is measured on validation photos, or the card says why not."""

from pathlib import Path

import numpy as np
import numpy.typing as npt
import onnxruntime
import pytest
from onnx import save

from ml.artifact import INT8_FILE, ONNX_FILE
from ml.data import Split
from ml.precisions import MIN_PHOTOS, Validation, compare, measure
from ml.preprocess import preprocess
from tests.unit.containers.serve_process import PREPROCESSING
from tests.unit.ml.data import write_image
from tests.unit.ml.graphs import network
from tests.unit.ml.stops import never


@pytest.fixture(scope="module")
def onnx(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("artifact") / ONNX_FILE
    save(network(), path)
    return path


@pytest.fixture(scope="module")
def validation(onnx: Path, tmp_path_factory: pytest.TempPathFactory) -> Validation:
    """Photos whose reddest, greenest and bluest are told apart by the model, with ONNX Runtime's logits."""
    folder = tmp_path_factory.mktemp("photos")
    colours = [(200, 40, 40), (40, 200, 40), (40, 40, 200)]
    labels = tuple(number % 3 for number in range(MIN_PHOTOS))
    for number, label in enumerate(labels):
        write_image(folder / f"{number:03}.png", colours[label], seed=number, side=20)
    split = Split("valid", tuple(sorted(folder.iterdir())), labels)
    images = np.stack([preprocess(path.read_bytes(), PREPROCESSING) for path in split.files])
    session = onnxruntime.InferenceSession(onnx, providers=["CPUExecutionProvider"])
    return Validation(split, PREPROCESSING, session.run(None, {"images": images})[0], 2)


def test_the_figures_compare_two_sets_of_logits() -> None:
    def logits(*classes: int) -> npt.NDArray[np.float32]:
        return np.eye(3, dtype=np.float32)[list(classes)]

    labels = np.array([0, 1, 2, 0])
    found = compare(logits(0, 1, 2, 1), logits(0, 2, 2, 2), labels)
    assert found == {"accuracy": 0.5, "accuracy_drop": 0.25, "differing_share": 0.5, "photos": 4}


def test_bf16_is_measured_or_the_reason_is_said(onnx: Path, validation: Validation) -> None:
    found = measure(onnx, validation, never)["bf16"]
    if isinstance(found, str):
        assert found == "Not measured: the CPU of the training does not compute in bf16."
    else:
        assert found["engine"].startswith("openvino ")
        del found["engine"]
        assert found == {"accuracy": 1.0, "accuracy_drop": 0.0, "differing_share": 0.0, "photos": MIN_PHOTOS}


def test_few_photos_measure_nothing(onnx: Path, validation: Validation) -> None:
    few = validation.sample(MIN_PHOTOS - 1)
    assert measure(onnx, few, never) == {"bf16": "Not measured: there are 99 validation photos; 100 are needed."}


def test_a_sample_is_always_the_same_and_its_logits_stay_with_its_photos(validation: Validation) -> None:
    sample = validation.sample(10)
    assert sample.split == validation.sample(10).split
    assert len(sample.split) == len(sample.logits) == 10
    assert list(sample.logits.argmax(1)) == list(sample.split.labels)
    assert len(validation.sample(1000).split) == MIN_PHOTOS


def test_a_job_that_must_stop_measures_nothing(onnx: Path, validation: Validation) -> None:
    found = measure(onnx, validation, lambda: True)["bf16"]
    assert found in (
        "Not measured: the job had to stop.",
        "Not measured: the CPU of the training does not compute in bf16.",
    )


def test_int8_is_calibrated_on_training_photos_and_measured(onnx: Path, validation: Validation) -> None:
    found = measure(onnx, validation, never, training=validation.split)["int8"]
    assert onnx.with_name(INT8_FILE).is_file() == isinstance(found, dict)
    if isinstance(found, str):
        assert found == "Not measured: the CPU of the training does not compute in int8."
        return
    assert (found["accuracy"], found["differing_share"], found["photos"]) == (1.0, 0.0, MIN_PHOTOS)
    session = onnxruntime.InferenceSession(onnx.with_name(INT8_FILE), providers=["CPUExecutionProvider"])
    images = np.stack([preprocess(path.read_bytes(), PREPROCESSING) for path in validation.split.files[:3]])
    logits = session.run(None, {"images": images})[0]
    assert not np.array_equal(logits, validation.logits[:3])
    assert np.abs(logits - validation.logits[:3]).max() < 0.05 * np.abs(validation.logits).max()


def test_without_enough_validation_photos_nothing_is_quantized(
    onnx: Path, tmp_path: Path, validation: Validation
) -> None:
    graph = tmp_path / onnx.name
    graph.write_bytes(onnx.read_bytes())
    found = measure(graph, validation.sample(MIN_PHOTOS - 1), never, training=validation.split)
    assert found["int8"] == found["bf16"] == "Not measured: there are 99 validation photos; 100 are needed."
    found = measure(graph, validation, lambda: True, training=validation.split)
    assert found["int8"] == "Not measured: the job had to stop."
    assert list(tmp_path.iterdir()) == [graph]

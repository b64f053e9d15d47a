"""A graph in 8 bits keeps its first layers and the mean of every layer's outputs."""

import numpy as np
import onnx
import pytest
from onnx import numpy_helper

from ml import quantize
from ml.quantize import Activation, calibrate, with_8_bits
from tests.unit.ml.graphs import SIDE, network, run

IMAGES = np.random.default_rng(1).normal(0, 1, (6, 3, SIDE, SIDE)).astype(np.float32)
BATCHES = [image[np.newaxis] for image in IMAGES]


def test_the_inputs_of_the_layers_are_observed() -> None:
    found = calibrate(network(), SIDE, iter(BATCHES))
    assert list(found) == ["deep", "flat"]  # not those of the first two layers
    deep, flat = run(network(), IMAGES, "deep", "flat")
    assert (found["deep"].low, found["deep"].high) == pytest.approx((deep.min(), deep.max()), rel=1e-5)
    assert np.allclose(found["deep"].means, deep.mean((0, 2, 3)), atol=1e-5)
    assert (found["flat"].low, found["flat"].high) == pytest.approx((flat.min(), flat.max()), rel=1e-5)
    assert np.allclose(found["flat"].means, flat.mean(0), atol=1e-5)


def test_all_layers_but_the_first_two_have_8_bit_weights() -> None:
    changed = with_8_bits(network(), calibrate(network(), SIDE, iter(BATCHES)))
    onnx.checker.check_model(changed, full_check=True)
    constants = {tensor.name: numpy_helper.to_array(tensor) for tensor in changed.graph.initializer}
    assert {name for name in constants if name.endswith(".weight")} == {"first.weight", "depthwise.weight"}
    rounded = {name: value for name, value in constants.items() if value.dtype == np.int8 and value.any()}
    assert {name: np.abs(value).max() for name, value in rounded.items()} == {
        "branch/weights/quantized": 127,
        "logits/weights/quantized": 127,
    }
    assert [node.input[:] for node in changed.graph.node if node.op_type == "Add"] == [["deep", "branch"]]


def test_the_logits_stay_near() -> None:
    activations = calibrate(network(), SIDE, iter(BATCHES))
    [expected], [found] = run(network(), IMAGES), run(with_8_bits(network(), activations), IMAGES)
    assert not np.array_equal(found, expected)
    assert np.abs(found - expected).max() < 0.02 * np.abs(expected).max()


@pytest.mark.parametrize("tensor", ["first", "deep", "branch", "logits"])
def test_what_rounded_weights_lose_comes_back_in_the_mean(monkeypatch: pytest.MonkeyPatch, tensor: str) -> None:
    monkeypatch.setattr(quantize, "FLOAT_LAYERS", 0)
    monkeypatch.setattr(quantize, "_MAX_WEIGHT", 7)  # weights of 4 bits lose a lot
    image = np.tile(np.array([0.4, -0.7, 1.5], np.float32).reshape(1, 3, 1, 1), (1, 1, SIDE, SIDE))
    activations = calibrate(network(), SIDE, iter([image]))  # a plain colour is the mean of every pixel
    without = {name: Activation(it.low, it.high, 0 * it.means) for name, it in activations.items()}
    [expected] = run(network(), image, tensor)
    worst, worst_without = (
        np.abs(run(with_8_bits(network(), used), image, tensor)[0] - expected).max() for used in (activations, without)
    )
    assert worst < 0.02 * np.abs(expected).max()  # the inputs are rounded, too
    assert worst_without > 3 * worst


def test_an_input_that_is_always_zero_has_a_scale() -> None:
    zero = Activation(0.0, 0.0, np.zeros(8, np.float32))
    flat = with_8_bits(network(), dict.fromkeys(["deep", "flat"], zero))
    assert np.isfinite(run(flat, IMAGES)[0]).all()

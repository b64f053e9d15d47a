"""The backbones and the origins of their weights; the Lite0 weights fit timm's network."""

import warnings
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file

from ml.config import BACKBONES, Config
from ml.model import build, fused, preprocessing
from ml.resize import FASTEST
from ml.weights import Weights, WeightsError, find_weights, rename

NO_CHANNEL = Path("no-such-folder")


def plain(backbone: str) -> Config:
    return Config(backbone=backbone, weights="none", image_size=32)


@pytest.mark.parametrize("backbone", BACKBONES)
def test_fused_backbone_computes_the_same(backbone: str) -> None:
    model = build(plain(backbone), 3, find_weights(plain(backbone), NO_CHANNEL))
    for module in model.modules():  # new statistics are 0 and 1, which would hide an error
        if isinstance(module, torch.nn.BatchNorm2d) and module.running_mean is not None:
            torch.nn.init.uniform_(module.running_mean, -0.1, 0.1)
    fast, images = fused(model.body), torch.randn(2, 3, 64, 64)
    assert not any(isinstance(module, torch.nn.BatchNorm2d) for module in fast.modules())
    with torch.no_grad():
        expected = model.body(images)
        assert model(images).shape == (2, 3)
        torch.testing.assert_close(fast(images), expected, rtol=1e-3, atol=1e-3 * float(expected.abs().max()))


def test_the_seed_decides_the_weights() -> None:
    config = plain("mobilenet_v3_large")
    first, second = (build(config, 3, find_weights(config, NO_CHANNEL)).state_dict() for _ in range(2))
    assert all(torch.equal(first[name], second[name]) for name in first)


def test_every_lite0_tensor_has_a_place_in_timms_network() -> None:
    """The classifier is included, and no tensor is left over."""
    import timm

    weights = find_weights(Config(), NO_CHANNEL)
    assert weights.state is not None
    assert weights.source["sha256"].startswith("57934424")  # the file's name contains its digest
    named = {rename(name): value for name, value in weights.state.items()}
    model = timm.create_model("tf_efficientnet_lite0", pretrained=False)
    model.load_state_dict(named, strict=True)


def test_lite0_expects_values_from_minus_one_to_one() -> None:
    p = preprocessing(Config())
    assert (p.size, p.resize, p.mean, p.std) == (224, 256, (0.5,) * 3, (0.5,) * 3)
    assert preprocessing(plain("resnet50")).mean == (0.485, 0.456, 0.406)
    assert p.version == preprocessing(plain("resnet50")).version == FASTEST


@pytest.mark.parametrize("suffix", [".safetensors", ".pth"])
def test_weights_of_the_pretrained_channel_are_used(tmp_path: Path, suffix: str) -> None:
    other = build(Config(backbone="resnet50", weights="none", seed=5), 7, find_weights(plain("resnet50"), NO_CHANNEL))
    state = {
        name.removeprefix("body."): value for name, value in other.state_dict().items() if name.startswith("body.")
    }
    state["fc.weight"] = torch.zeros(1000, 2048)
    path = tmp_path / f"weights{suffix}"
    save_file(state, path) if suffix == ".safetensors" else torch.save(state, path)
    config = Config(backbone="resnet50")
    model = build(config, 3, find_weights(config, tmp_path))
    assert torch.equal(model.state_dict()["body.conv1.weight"], state["conv1.weight"])
    with pytest.raises(WeightsError, match="remove one of them"):
        find_weights(plain("resnet50"), tmp_path)


def test_a_trained_model_gives_the_starting_weights_of_another(tmp_path: Path) -> None:
    config = plain("mobilenet_v3_large")
    save_file(build(config, 5, find_weights(config, NO_CHANNEL)).state_dict(), tmp_path / "model.safetensors")
    config = Config(backbone="mobilenet_v3_large")
    build(config, 3, find_weights(config, tmp_path))
    wrong = Config(backbone="resnet50")
    with pytest.raises(WeightsError, match=r"do not fit resnet50: they lack conv1.weight"):
        build(wrong, 3, find_weights(wrong, tmp_path))


class PicklePayload:
    def __reduce__(self) -> Any:
        return print, ("pickle ran",)


def test_pickled_code_does_not_run(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    torch.save({"conv1.weight": PicklePayload()}, tmp_path / "evil.pth")
    with pytest.raises(WeightsError, match=r"evil\.pth is not a readable state dict"):
        find_weights(Config(backbone="resnet50"), tmp_path)
    assert "pickle ran" not in capsys.readouterr().out


@pytest.mark.parametrize("names", [[], ["a.bin"], ["a.pth", "b.pth"]])
def test_the_channel_must_hold_one_file(tmp_path: Path, names: list[str]) -> None:
    for name in names:
        (tmp_path / name).write_bytes(b"")
    with pytest.raises(WeightsError, match="must hold exactly one"):
        find_weights(Config(), tmp_path)


@pytest.mark.parametrize(("name", "content"), [("a.safetensors", b"x"), ("a.pth", b""), ("a.pth", b"hello")])
def test_broken_weights_are_refused(tmp_path: Path, name: str, content: bytes) -> None:
    (tmp_path / name).write_bytes(content)
    with warnings.catch_warnings(), pytest.raises(WeightsError, match="is not a readable state dict"):
        find_weights(Config(), tmp_path)


def test_a_failed_download_says_what_to_do(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The download really fails: the proxy of this process is a port without a listener."""
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    for name in ("https_proxy", "HTTPS_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    for name in ("no_proxy", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
    with pytest.raises(WeightsError, match=r"could not be downloaded .* 'pretrained' channel"):
        find_weights(Config(backbone="resnet50"), NO_CHANNEL)


def test_the_head_begins_at_zero_only_where_all_of_a_pretrained_network_learns() -> None:
    pretrained = find_weights(Config(), NO_CHANNEL)
    full, head = Config(fine_tune="full"), Config()
    from_zero = [build(full, 3, pretrained), build(head, 3, pretrained), build(full, 3, Weights(None, {}))]
    assert [bool(model.head.weight.any()) for model in from_zero] == [False, True, True]

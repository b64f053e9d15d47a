"""Features that were kept give the same model as computed ones; a file that is broken or foreign is not used."""

import re
import tarfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from safetensors import safe_open
from safetensors.torch import save_file

from ml import feature_cache
from ml.artifact import CARD_FILE, ONNX_FILE, WEIGHTS_FILE, read_card
from ml.config import Config
from ml.context import Paths
from ml.data import DataError, scan
from ml.model import build
from ml.photo_list import FILE, dataset_of, has_features_only
from ml.train import train
from ml.weights import Weights
from tests.unit.ml.data import write_dataset
from tests.unit.ml.stops import never

CONFIG = Config(weights="none", image_size=32, epochs=2, batch_size=8, max_unusable_share=0.1)
Run = Callable[..., list[str]]


@pytest.fixture(scope="module")
def jobs(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """The data, of which one photo is broken, and the folder of a job that only computes features."""
    base = tmp_path_factory.mktemp("jobs")
    data = write_dataset(base / "data")
    (data / "valid" / "red" / "1.png").write_bytes(b"no image")
    run(replace(CONFIG, features_only=True), data, base / "features")
    return data, base / "features" / "model"


def run(config: Config, data: Path, base: Path) -> list[str]:
    lines: list[str] = []
    paths = Paths(data, base / "model", base / "output", base / "checkpoints")
    train(config, scan(data), paths, never, lines.append)
    return lines


def with_channel(data: Path, base: Path, kept: Path) -> Path:
    """The same data in another folder, with a channel `features` of the files in `kept`."""
    root = base / "input"
    root.mkdir(parents=True)
    for split in ("train", "valid", "test"):
        (root / split).symlink_to(data / split)
    (root / "features").mkdir()
    for path in kept.iterdir():
        (root / "features" / path.name).write_bytes(path.read_bytes())
    return root


def test_kept_features_give_the_same_model_as_computed_ones(jobs: tuple[Path, Path], tmp_path: Path) -> None:
    data, kept = jobs
    assert sorted(path.name for path in kept.iterdir()) == [FILE, ONNX_FILE]
    computed = run(CONFIG, data, tmp_path / "computed")
    cached = run(CONFIG, with_channel(data, tmp_path, kept), tmp_path / "cached")
    assert any(line.startswith("features split=train") for line in computed)
    assert not any("split=" in line for line in cached)
    assert any(re.match(rf"features from=features/{FILE} engine=openvino-", line) for line in cached)
    assert any(line.startswith("left out valid/red/1.png") for line in cached)  # as kept, without decoding
    assert (tmp_path / "computed/checkpoints" / FILE).is_file()  # for the job's next attempt
    for name in (WEIGHTS_FILE, ONNX_FILE, CARD_FILE):
        assert (tmp_path / "computed/model" / name).read_bytes() == (tmp_path / "cached/model" / name).read_bytes()
    assert read_card(tmp_path / "cached/model").metrics["features"]["engine"] == "openvino"


@pytest.mark.parametrize("prefix", ["", "./"])  # the second as `tar -C model .` writes it
def test_the_channel_may_be_the_archive_that_sagemaker_makes_of_the_job_that_computed_them(
    jobs: tuple[Path, Path], tmp_path: Path, prefix: str
) -> None:
    data, kept = jobs
    root = with_channel(data, tmp_path, kept)
    with tarfile.open(root / "features" / "model.tar.gz", "w:gz") as archive:
        for path in kept.iterdir():
            archive.add(path, prefix + path.name)
            (root / "features" / path.name).unlink()
    quick = replace(CONFIG, epochs=1, measure_precisions=False)
    lines = run(quick, root, tmp_path)
    assert any(line.startswith(f"features from=features/{FILE}") for line in lines)
    assert "precisions" not in read_card(tmp_path / "model").metrics
    (root / "features" / "model.tar.gz").write_bytes(b"\x1f\x8bno archive")
    lines = run(replace(quick, feature_engine="torch-f32"), root, tmp_path / "again")
    assert any(line.startswith("features/model.tar.gz is not used: ") for line in lines)
    assert any(line.startswith("features split=train") for line in lines)


@pytest.mark.parametrize("prefix", ["", "./"])
def test_a_job_without_photos_makes_the_same_model(jobs: tuple[Path, Path], tmp_path: Path, prefix: str) -> None:
    data, kept = jobs
    quick = replace(CONFIG, measure_precisions=False)
    run(quick, with_channel(data, tmp_path, kept), tmp_path / "photos")
    root = tmp_path / "alone"
    (root / "features").mkdir(parents=True)
    with tarfile.open(root / "features" / "model.tar.gz", "w:gz") as archive:
        for path in kept.iterdir():
            archive.add(path, prefix + path.name)
    assert has_features_only(root)
    paths = Paths(root, tmp_path / "model", tmp_path / "output", tmp_path / "checkpoints")
    train(quick, dataset_of(root / "features"), paths, never, lambda _: None)
    for name in (WEIGHTS_FILE, ONNX_FILE, CARD_FILE):
        assert (tmp_path / "photos/model" / name).read_bytes() == (tmp_path / "model" / name).read_bytes()


def test_a_job_without_photos_whose_features_do_not_fit_fails(jobs: tuple[Path, Path], tmp_path: Path) -> None:
    _, kept = jobs
    (tmp_path / "features").mkdir()
    for path in kept.iterdir():
        (tmp_path / "features" / path.name).write_bytes(path.read_bytes())
    dataset, lines = dataset_of(tmp_path / "features"), list[str]()
    paths = Paths(tmp_path, tmp_path / "model", tmp_path / "output", tmp_path / "checkpoints")
    for config in (replace(CONFIG, flip=False), replace(CONFIG, fine_tune="full")):
        with pytest.raises(DataError, match="Channel 'train' is missing, and features cannot be used instead"):
            train(config, dataset, paths, never, lines.append)
    assert lines == [f"features/{FILE} is not used: it was computed from other flip."]


@pytest.mark.parametrize("content", [b"", b"\xff" * 8, b"\x02" + b"\0" * 7 + b"{}", b"\x09" + b"\0" * 7 + b"no JSON.."])
def test_a_file_that_tells_no_photos_is_refused(content: bytes, tmp_path: Path) -> None:
    (tmp_path / FILE).write_bytes(content)
    with pytest.raises(
        DataError, match=r"Channel 'features' tells no photos \(.+\), and the job has no channel 'train'\."
    ):
        dataset_of(tmp_path)


def test_an_archive_without_features_is_named_in_the_log(jobs: tuple[Path, Path], tmp_path: Path) -> None:
    data, kept = jobs
    root = with_channel(data, tmp_path, kept)
    (root / "features" / FILE).unlink()
    with tarfile.open(root / "features" / "model.tar.gz", "w:gz") as archive:
        archive.add(root / "features" / ONNX_FILE, ONNX_FILE)
    lines = run(replace(CONFIG, epochs=1, measure_precisions=False), root, tmp_path)
    assert f"features/model.tar.gz is not used: it has no {FILE}." in lines


def test_a_job_that_goes_on_uses_the_features_beside_its_checkpoints(jobs: tuple[Path, Path], tmp_path: Path) -> None:
    data, kept = jobs
    (tmp_path / "checkpoints").mkdir()
    for path in kept.iterdir():
        (tmp_path / "checkpoints" / path.name).write_bytes(path.read_bytes())
    lines = run(CONFIG, data, tmp_path)
    assert any(line.startswith(f"features from=checkpoints/{FILE}") for line in lines)
    assert not any("split=" in line for line in lines)


def header(path: Path) -> dict[str, str]:
    with safe_open(path, framework="pt") as file:
        found: dict[str, str] = file.metadata()
        return found


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-100])


def flip_a_bit(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)


def change_the_format(path: Path) -> None:
    with safe_open(path, framework="pt") as file:
        tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    save_file(tensors, path, header(path) | {"format": "another/1"})


def lose_the_content(path: Path) -> None:
    with safe_open(path, framework="pt") as file:
        tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    save_file(tensors, path, {"format": header(path)["format"], "content": '{"identity": {}}'})


@pytest.mark.parametrize(
    ("damage", "config", "reason"),
    [
        (cut, CONFIG, r"it is broken \("),
        (flip_a_bit, CONFIG, r"it is broken \(a digest is wrong\)"),
        (change_the_format, CONFIG, "its format is 'another/1'"),
        (lose_the_content, CONFIG, "its header is broken"),
        (lambda path: None, replace(CONFIG, flip=False), "it was computed from other flip"),
        (lambda path: None, replace(CONFIG, seed=1), "it was computed from other weights"),
        (lambda path: None, replace(CONFIG, crop=1.0), "it was computed from other preprocessing"),
        (
            lambda path: None,
            replace(CONFIG, feature_engine="torch-f32"),
            "it was computed by openvino-.*not by torch-f32",
        ),
    ],
)
def test_a_file_that_is_broken_or_foreign_is_named_and_not_used(
    damage: Callable[[Path], None], config: Config, reason: str, jobs: tuple[Path, Path], tmp_path: Path
) -> None:
    data, kept = jobs
    root = with_channel(data, tmp_path, kept)
    damage(root / "features" / FILE)
    model = build(config, 3, Weights(None, {"source": "none"}))
    of = feature_cache.identity(config, scan(data), model)
    found = feature_cache.load(root / "features", of, scan(data), config.feature_engine)
    assert isinstance(found, str)
    assert re.match(f"features/{FILE} is not used: {reason}", found), found

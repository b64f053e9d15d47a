"""The server's settings, and the number of cores that it finds."""

import tempfile
from pathlib import Path

import pytest

from containers.serve.engines import EngineChoice
from containers.serve.settings import ServeSettings, _memory_limit, _quota, cores, memory_bytes


def test_the_defaults_are_those_of_a_container() -> None:
    settings = ServeSettings.from_environment({})
    assert (settings.host, settings.port, settings.model_dir) == ("0.0.0.0", 8080, Path("/opt/ml/model"))
    assert (settings.threads, settings.allowed_origins, settings.engine) == (cores(), frozenset(), "auto")
    assert (settings.is_multi_model, settings.models_dir) == (False, Path("/opt/ml/models"))
    assert settings.models_memory_bytes == memory_bytes() // 2
    assert settings.cache_dir == Path(tempfile.gettempdir()) / "stagemaker-serve"


def test_the_environment_sets_every_setting() -> None:
    environ = {
        "STAGEMAKER_BIND_HOST": "127.0.0.1",
        "SAGEMAKER_BIND_TO_PORT": "9000",
        "SAGEMAKER_BASE_DIR": "/base",
        "SAGEMAKER_MULTI_MODEL": "True",
        "STAGEMAKER_SERVE_MODELS_MEMORY_BYTES": "1000",
        "STAGEMAKER_SERVE_THREADS": "3",
        "STAGEMAKER_SERVE_QUEUE": "7",
        "STAGEMAKER_FETCH_ALLOW": " Images.Local:8000, ,b:1 ",
        "STAGEMAKER_SERVE_ENGINE": "torch",
        "STAGEMAKER_SERVE_CACHE": "/cache",
    }
    origins = frozenset({"images.local:8000", "b:1"})
    folders = {"model_dir": Path("/base/model"), "models_dir": Path("/base/models")}
    expected = ServeSettings(
        host="127.0.0.1",
        port=9000,
        is_multi_model=True,
        models_memory_bytes=1000,
        threads=3,
        queue=7,
        allowed_origins=origins,
        engine="torch",
        cache_dir=Path("/cache"),
        **folders,
    )
    assert ServeSettings.from_environment(environ) == expected


@pytest.mark.parametrize(
    ("name", "choice"),
    [
        ("auto", EngineChoice("onnx")),
        ("onnx", EngineChoice("onnx")),
        ("openvino", EngineChoice("openvino", "f32", 3)),
        ("openvino-bf16", EngineChoice("openvino", "bf16", 3)),
        ("openvino-int8", EngineChoice("openvino", "int8", 3)),
        ("torch", EngineChoice("torch")),
    ],
)
def test_the_engine_that_serves_first(name: str, choice: EngineChoice) -> None:
    environ = {"STAGEMAKER_SERVE_ENGINE": name, "STAGEMAKER_SERVE_THREADS": "3"}
    assert ServeSettings.from_environment(environ).first_choice == choice


def test_an_unknown_engine_is_named() -> None:
    with pytest.raises(ValueError, match=r"STAGEMAKER_SERVE_ENGINE must be one of auto, onnx, .* not 'tvm'"):
        ServeSettings.from_environment({"STAGEMAKER_SERVE_ENGINE": "tvm"})


@pytest.mark.parametrize("value", ["0", "65536", "-1", "80a", "", " 80", "\u0668"])
def test_an_invalid_port_is_named(value: str) -> None:
    with pytest.raises(ValueError, match="SAGEMAKER_BIND_TO_PORT"):
        ServeSettings.from_environment({"SAGEMAKER_BIND_TO_PORT": value})


@pytest.mark.parametrize(("text", "cpus"), [("150000 100000\n", 1.5), ("max 100000\n", None), ("junk\n", None)])
def test_the_quota_of_control_groups_2(tmp_path: Path, text: str, cpus: float | None) -> None:
    (tmp_path / "cpu.max").write_text(text)
    assert _quota(tmp_path) == cpus


@pytest.mark.parametrize(("text", "cpus"), [("200000", 2.0), ("-1", None)])
def test_the_quota_of_control_groups_1(tmp_path: Path, text: str, cpus: float | None) -> None:
    (tmp_path / "cpu").mkdir()
    (tmp_path / "cpu" / "cpu.cfs_quota_us").write_text(text + "\n")
    (tmp_path / "cpu" / "cpu.cfs_period_us").write_text("100000\n")
    assert _quota(tmp_path) == cpus


def test_there_is_no_quota_without_a_control_group(tmp_path: Path) -> None:
    assert _quota(tmp_path) is None


def test_a_mode_that_is_neither_true_nor_false_is_named() -> None:
    with pytest.raises(ValueError, match="SAGEMAKER_MULTI_MODEL must be true or false, not 'yes'"):
        ServeSettings.from_environment({"SAGEMAKER_MULTI_MODEL": "yes"})


@pytest.mark.parametrize("name", ["memory.max", "memory/memory.limit_in_bytes"])
@pytest.mark.parametrize(("text", "limit"), [("1048576\n", 1_048_576), ("max\n", None)])
def test_the_memory_of_control_groups(tmp_path: Path, name: str, text: str, limit: int | None) -> None:
    (tmp_path / "memory").mkdir()
    (tmp_path / name).write_text(text)
    assert _memory_limit(tmp_path) == limit
    assert 0 < memory_bytes() <= 1 << 50

"""Which engine is chosen for what was measured, and when a choice that was kept is used again."""

import json
import os
from pathlib import Path

import pytest

from containers.serve import choice_cache
from containers.serve.choice import Speed, best, candidates
from containers.serve.engines import SAFE_CHOICE, EngineChoice
from containers.serve.improver import parse
from ml.artifact import INT8_FILE
from tests.unit.containers.serve_process import write_model

LAYERS, STREAMS = EngineChoice("openvino", "f32", 1), EngineChoice("openvino", "f32", 2)
BF16, INT8 = EngineChoice("openvino", "bf16", 2), EngineChoice("openvino", "int8", 2)


def test_only_precisions_that_are_given_are_compared() -> None:
    assert candidates(["f32"], 2) == (EngineChoice("onnx", "f32", 2), LAYERS, STREAMS)
    assert BF16 in candidates(["f32", "bf16"], 2)
    assert INT8 in candidates(["f32", "int8"], 2)
    assert not [choice for choice in candidates(["f32", "int3"], 2) if choice.precision != "f32"]


def test_one_thread_has_one_layout_and_many_have_three() -> None:
    assert candidates(["f32"], 1) == (LAYERS,)
    assert [choice.streams for choice in candidates(["f32"], 16)] == [4, 16, 1, 4, 16]


@pytest.mark.parametrize(
    ("measured", "choice"),
    [
        ({}, SAFE_CHOICE),
        ({STREAMS: Speed(1.05, 1.05)}, SAFE_CHOICE),
        ({STREAMS: Speed(1.3, 1.0)}, STREAMS),
        ({STREAMS: Speed(3.0, 0.9)}, SAFE_CHOICE),
        ({STREAMS: Speed(0.9, 3.0)}, SAFE_CHOICE),
        ({STREAMS: Speed(1.3, 1.3), BF16: Speed(2.0, 1.1)}, BF16),
        ({STREAMS: Speed(1.3, 1.3), BF16: Speed(0.5, 0.5)}, STREAMS),
    ],
)
def test_the_largest_gain_is_chosen_when_nothing_becomes_slower(
    measured: dict[EngineChoice, Speed], choice: EngineChoice
) -> None:
    assert best(measured) == choice


def test_what_the_measuring_process_prints_is_read() -> None:
    line = '[{"name": "openvino", "precision": "bf16", "streams": 2}, {"busy": 2.0, "lone": 1.5}]'
    assert parse([line]) == {BF16: Speed(2.0, 1.5)}
    with pytest.raises((ValueError, TypeError)):
        parse(["the engine says something"])


def test_a_choice_that_is_kept_is_found_again(tmp_path: Path) -> None:
    choice_cache.write(tmp_path / "cache", "key", BF16)
    assert choice_cache.read(tmp_path / "cache", "key", [SAFE_CHOICE, BF16]) == BF16
    assert [path.name for path in (tmp_path / "cache").iterdir()] == ["key.json"]
    assert choice_cache.read(tmp_path / "cache", "other", [BF16]) is None


def test_a_choice_that_is_not_allowed_any_more_is_ignored(tmp_path: Path) -> None:
    choice_cache.write(tmp_path, "key", BF16)
    assert choice_cache.read(tmp_path, "key", [SAFE_CHOICE, STREAMS]) is None


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"\xff",
        b"{",
        b"[]",
        b'{"key": "key"}',
        b'{"key": "key", "choice": {"name": "onnx", "code": 1}}',
        b'{"key": "key", "choice": {"name": ["onnx"]}}',
        b'{"key": "another", "choice": {"name": "onnx"}}',
        b"[" * 60_000,
    ],
)
def test_a_broken_entry_is_ignored(tmp_path: Path, text: bytes) -> None:
    (tmp_path / "key.json").write_bytes(text)
    assert choice_cache.read(tmp_path, "key", [SAFE_CHOICE]) is None


def test_a_link_and_a_pipe_in_the_place_of_an_entry_are_ignored(tmp_path: Path) -> None:
    choice_cache.write(tmp_path, "key", SAFE_CHOICE)
    (tmp_path / "key.json").rename(tmp_path / "other.json")
    (tmp_path / "key.json").symlink_to(tmp_path / "other.json")
    assert choice_cache.read(tmp_path, "key", [SAFE_CHOICE]) is None
    (tmp_path / "key.json").unlink()
    os.mkfifo(tmp_path / "key.json")
    assert choice_cache.read(tmp_path, "key", [SAFE_CHOICE]) is None


def test_an_entry_of_another_user_is_ignored(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    choice_cache.write(tmp_path, "key", SAFE_CHOICE)
    owner = (tmp_path / "key.json").stat().st_uid
    monkeypatch.setattr("os.geteuid", lambda: owner + 1)
    assert choice_cache.read(tmp_path, "key", [SAFE_CHOICE]) is None


def test_the_key_names_the_model_the_cpu_and_the_threads(tmp_path: Path) -> None:
    write_model(tmp_path / "a")
    write_model(tmp_path / "b", scale=20)
    write_model(tmp_path / "c", ("red", "green", "black"))
    cases = [("a", 1, "cpu"), ("b", 1, "cpu"), ("c", 1, "cpu"), ("a", 2, "cpu"), ("a", 1, "another")]
    keys = [choice_cache.key(tmp_path / name, threads, cpu) for name, threads, cpu in cases]
    assert len(set(keys)) == len(cases)
    assert choice_cache.key(tmp_path / "a", 1, "cpu") == keys[0]
    (tmp_path / "a" / INT8_FILE).write_bytes(b"a graph in int8")
    assert choice_cache.key(tmp_path / "a", 1, "cpu") not in keys


def test_the_text_of_the_cpu_says_nothing_that_changes(tmp_path: Path) -> None:
    text = "processor : {0}\nmodel name\t: X\ncpu MHz\t: {0}\nflags\t: a b\n\n"
    (tmp_path / "cpuinfo").write_text(text.format(1) + text.format(2))
    assert choice_cache.cpu_text(tmp_path / "cpuinfo") == "flags\t: a b\nmodel name\t: X"
    assert choice_cache.cpu_text(tmp_path / "none") == ""


def test_an_entry_is_json_that_people_can_read(tmp_path: Path) -> None:
    choice_cache.write(tmp_path, "key", STREAMS)
    entry = json.loads((tmp_path / "key.json").read_text())
    assert entry == {"key": "key", "choice": {"name": "openvino", "precision": "f32", "streams": 2}}

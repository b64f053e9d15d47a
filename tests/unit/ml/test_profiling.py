"""Where the time went: parts add up to the whole, also of a real training, which also writes a trace."""

import gzip
import json
import re
import time
from dataclasses import replace
from pathlib import Path

import pytest

from ml import profiling
from ml.config import Config
from ml.context import Paths
from ml.data import scan
from ml.profiling import FEATURES, OTHER, PHOTOS, STEPS, SUMMARY_FILE, TRACE_FILE, Timers, Tracer, summary
from ml.train import train
from tests.unit.ml.data import write_dataset
from tests.unit.ml.stops import StopAfter, never

ROW = re.compile(r"\| (.+) \| (\d+\.\d\d) \| (\d+\.\d)% \|")
FULL = Config(weights="none", fine_tune="full", image_size=32, epochs=2, batch_size=8, profile=True)


def test_a_part_within_a_part_pauses_the_outer_one() -> None:
    now_s = iter([0.0, 1.0, 3.0, 6.0, 10.0, 15.0])
    timers = Timers(lambda: next(now_s))
    with timers.part(STEPS):
        assert list(timers.each(PHOTOS, [])) == []
    seconds = timers.seconds()
    assert (seconds[OTHER], seconds[STEPS], seconds[PHOTOS]) == (1 + 5, 2 + 4, 3)


def test_waiting_for_features_is_shared_out_as_the_threads_worked() -> None:
    now_s = iter([0.0, 0.0, 8.0, 8.0])
    timers = Timers(lambda: next(now_s))
    with timers.part(FEATURES):
        timers.work(photos_s=5.0, engine_s=15.0)
    seconds = timers.seconds()
    assert (seconds[PHOTOS], seconds[FEATURES]) == (2.0, 6.0)


def test_a_page_of_no_time_at_all_can_be_written() -> None:
    assert "| **all** | 0.00 | 100.0% |" in summary(dict.fromkeys(profiling.PARTS, 0.0), [])


@pytest.mark.parametrize("config", [FULL, replace(FULL, fine_tune="head")])
def test_a_training_says_where_its_time_went(config: Config, tmp_path: Path) -> None:
    lines: list[str] = []
    output = tmp_path / "output"
    data = scan(write_dataset(tmp_path / "data"))
    start_s = time.monotonic()
    paths = Paths(tmp_path / "data", tmp_path / "model", output, tmp_path / "checkpoints")
    train(config, data, paths, never, lines.append)
    took_s = time.monotonic() - start_s
    rows = {name: float(seconds) for name, seconds, _ in ROW.findall((output / SUMMARY_FILE).read_text())}
    total_s = rows.pop("**all**")
    assert sum(rows.values()) == pytest.approx(total_s, abs=0.01 * len(rows))
    assert total_s <= took_s + 0.01
    used = {name for name, seconds in rows.items() if seconds}
    assert used >= {PHOTOS, profiling.EXPORT} | ({STEPS} if config is FULL else {FEATURES})
    trace = json.loads(gzip.decompress((output / TRACE_FILE).read_bytes()))
    names = [event.get("name") for event in trace["traceEvents"]]
    assert "aten::cross_entropy_loss" in names
    assert any(line.startswith("profile seconds=") for line in lines)


def test_a_training_that_was_stopped_says_it_too_and_others_do_not(tmp_path: Path) -> None:
    data = scan(write_dataset(tmp_path / "data"))
    paths = Paths(tmp_path / "data", tmp_path / "model", tmp_path / "output", tmp_path / "checkpoints")
    train(replace(FULL, profile=False), data, paths, StopAfter(1), print)
    assert not (tmp_path / "output" / SUMMARY_FILE).exists()
    train(FULL, data, paths, StopAfter(1), print)
    assert "no training step ended" in (tmp_path / "output" / SUMMARY_FILE).read_text()


def test_a_trace_that_is_too_large_is_not_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(profiling, "_MAX_TRACE_BYTES", 10)
    tracer = Tracer(tmp_path)
    assert list(tracer.traced(iter(range(5)))) == [0, 1, 2, 3, 4]
    assert "more than the limit" in tracer.note
    assert not (tmp_path / TRACE_FILE).exists()

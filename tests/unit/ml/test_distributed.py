"""Two ranks on loopback take the steps of one host, stop and resume together, and never wait for a lost host."""

import signal
import socket
import subprocess
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from benchmarks.ports import free_port
from ml import distributed
from ml.batches import batch_indices
from ml.config import Config
from ml.distributed import ONE_HOST, Ranks, RanksError
from ml.errors import Stopped
from tests.unit.ml.data import write_dataset, write_image
from tests.unit.ml.ranks import equal_tensors, start, train_rank, trained_weights

# 9 pictures in each split: 18 views in batches of 5 leave 3, too few to share; the shares of validation are padded.
HEAD = Config(
    backbone="mobilenet_v3_large",
    weights="none",
    image_size=32,
    epochs=4,
    batch_size=5,
    learning_rate=0.003,
    feature_engine="torch-f32",  # needs no export
)
FULL = replace(HEAD, fine_tune="full", batch_size=7, epochs=2, learning_rate=0.0005)
LONG = replace(HEAD, epochs=9999, patience=9999)
TIMEOUT_S = 180  # a loaded machine
Process = subprocess.Popen[str]


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_dataset(tmp_path_factory.mktemp("data"), each=3, splits=("train", "valid"))


@pytest.fixture
def started() -> Iterator[list[Process]]:
    """The processes that a test starts; they are killed at its end."""
    processes: list[Process] = []
    yield processes
    for process in processes:
        process.kill()
        process.communicate()


def results_of(processes: list[Process]) -> list[tuple[int, str, str]]:
    """Exit status, output and errors of each process, after its end."""
    outputs = [process.communicate(timeout=TIMEOUT_S) for process in processes]
    return [(process.returncode, *output) for process, output in zip(processes, outputs, strict=True)]


def start_both(data: Path, folder: Path, config: Config, started: list[Process], norm: str = "batch") -> list[Process]:
    folder.mkdir(exist_ok=True)
    port = free_port()
    found = [start(data, folder, config, rank, port, norm) for rank in (0, 1)]
    started += found
    return found


def wait_for_line(process: Process, text: str) -> None:
    assert process.stdout is not None
    assert any(text in line for line in process.stdout), process.communicate()


@pytest.mark.parametrize("size", [4, 5, 11])
def test_the_parts_make_up_the_batch_and_their_mean_is_its_mean(size: int) -> None:
    batch = np.random.default_rng(size).permutation(size)
    parts = [Ranks(("a", "b"), rank).part(batch) for rank in (0, 1)]
    assert sorted(np.concatenate(parts)) == list(range(size))
    means = [Ranks(("a", "b")).weight(len(part), size) * part.mean() for part in parts]
    assert np.mean(means) == pytest.approx(batch.mean())


@pytest.mark.parametrize("hosts", [1, 2, 3, 5])
@pytest.mark.parametrize("count", [2, 9, 64, 101])
def test_the_ranks_see_every_example_of_an_epoch_exactly_once(count: int, hosts: int) -> None:
    """But for a last batch of one, which nobody sees, and batches that are too small to share, which all see."""
    config = replace(HEAD, batch_size=10)
    names = tuple(f"algo-{number}" for number in range(hosts))
    for epoch in (1, 2):
        indices = batch_indices(count, config, epoch)
        shared = [batch for batch in indices if len(batch) >= 2 * hosts]
        seen = [Ranks(names, rank).part(batch) for batch in shared for rank in range(hosts)]
        assert sorted(np.concatenate([*seen, []])) == sorted(np.concatenate([*shared, []]))
        for batch in indices:
            if len(batch) < 2 * hosts:
                assert all(np.array_equal(Ranks(names, rank).part(batch), batch) for rank in range(hosts))
        assert sum(len(batch) for batch in indices) == count - (count % 10 == 1)


def test_every_rank_computes_a_batch_that_is_too_small_to_share() -> None:
    batch = np.arange(3)
    assert Ranks(("a", "b"), 1).part(batch).tolist() == [0, 1, 2]
    assert Ranks(("a", "b"), 1).weight(3, 3) == 1.0


@pytest.mark.parametrize("count", [1, 6, 7])
def test_shards_are_equally_long_and_hold_every_example(count: int) -> None:
    shards = [Ranks(("a", "b", "c"), rank).shard(count) for rank in range(3)]
    assert len({len(shard) for shard in shards}) == 1
    assert np.stack(shards, 1).flatten()[:count].tolist() == list(range(count))


# Largest difference of a weight that was measured: 2e-9 (head), 1e-5 (full: Adam enlarges differences of rounding).
@pytest.mark.parametrize(("config", "norm", "tolerance"), [(HEAD, "batch", 1e-6), (FULL, "group", 1e-4)])
def test_two_ranks_train_the_weights_that_one_host_trains(
    config: Config, norm: str, tolerance: float, data: Path, tmp_path: Path, started: list[Process]
) -> None:
    results = results_of(start_both(data, tmp_path / "two", config, started, norm))
    assert [status for status, _, _ in results] == [0, 0], results
    (tmp_path / "one").mkdir()
    train_rank(data, tmp_path / "one", config, ONE_HOST, norm, lambda: False)
    assert equal_tensors(trained_weights(tmp_path / "two", 0), trained_weights(tmp_path / "two", 1))
    one, two = trained_weights(tmp_path / "one", 0), trained_weights(tmp_path / "two", 0)
    assert max(float((one[name] - two[name]).abs().max()) for name in one) < tolerance


def test_sigterm_to_one_rank_stops_both_and_both_resume(data: Path, tmp_path: Path, started: list[Process]) -> None:
    config = replace(FULL, epochs=9999, patience=9999)
    first, second = start_both(data, tmp_path, config, started)
    wait_for_line(first, "epoch=2 ")
    second.send_signal(signal.SIGTERM)
    results = results_of([first, second])
    stopped = [output.splitlines()[-1] for _, output, _ in results]
    assert [status for status, _, _ in results] == [0, 0], results
    assert stopped[0].startswith("stopped after_epoch=")
    assert stopped[1] == stopped[0]
    done = int(stopped[0].partition("=")[2])
    results = results_of(start_both(data, tmp_path, replace(config, epochs=done + 1), started))
    assert [status for status, _, _ in results] == [0, 0], results
    assert all(f"resumed after_epoch={done}\n" in output for _, output, _ in results)
    assert f"epoch={done + 1} train_loss=" in results[0][1]
    # Batch norm's running statistics are equal too.
    assert equal_tensors(trained_weights(tmp_path, 0), trained_weights(tmp_path, 1))


@pytest.mark.parametrize("victim", [0, 1])
def test_a_lost_host_ends_the_job_of_the_other(victim: int, data: Path, tmp_path: Path, started: list[Process]) -> None:
    processes = start_both(data, tmp_path, LONG, started)
    other = processes[1 - victim]
    wait_for_line(other, "epoch=2")
    processes[victim].kill()
    [(status, _, errors)] = results_of([other])
    assert status == 1
    assert f"Lost another host of this job (127.0.0.{victim + 1}): its own log says why it ended." in errors


def test_a_host_that_is_frozen_counts_as_lost(data: Path, tmp_path: Path, started: list[Process]) -> None:
    """It keeps its connections open. The real limit is below a minute; here it is shorter, and long enough for a busy
    machine."""
    assert distributed.EXCHANGE_TIMEOUT_S < 60
    port = free_port()
    started += [start(data, tmp_path, LONG, rank, port, exchange_timeout_s=20) for rank in (0, 1)]
    first, second = started
    wait_for_line(first, "epoch=2")
    second.send_signal(signal.SIGSTOP)
    [(status, _, errors)] = results_of([first])
    assert status == 1
    assert "Lost another host of this job (127.0.0.2)" in errors


def test_different_data_is_refused(data: Path, tmp_path: Path, started: list[Process]) -> None:
    other = write_dataset(tmp_path / "data", each=3, splits=("train", "valid"))
    write_image(other / "train" / "red" / "0.png", (1, 2, 3))
    port = free_port()
    started += [start(folder, tmp_path, HEAD, rank, port) for rank, folder in enumerate((data, other))]
    results = results_of(started)
    assert [status for status, _, _ in results] == [1, 1], results
    assert all("differ in their data digest: give every host the same data" in errors for _, _, errors in results)


@pytest.mark.parametrize(
    ("rank", "says"),
    [(0, "The host 127.0.0.2 did not join"), (1, "The host 127.0.0.1 could not be reached on port")],
)
def test_a_host_that_does_not_join_is_named(rank: int, says: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(distributed, "JOIN_TIMEOUT_S", 0.0)
    monkeypatch.setenv("MASTER_PORT", str(free_port()))
    ranks = Ranks(("127.0.0.1", "127.0.0.2"), rank)
    with pytest.raises(RanksError, match=says), ranks.connected("cpu", lambda: False):
        pass
    with pytest.raises(Stopped), ranks.connected("cpu", lambda: True):
        pass


def test_a_port_in_use_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.create_server(("", 0)) as server:
        port = server.getsockname()[1]
        monkeypatch.setenv("MASTER_PORT", str(port))
        message = f"^Port {port} of the host algo-1 cannot be used"
        with pytest.raises(RanksError, match=message), Ranks(("algo-1", "algo-2")).connected("cpu", lambda: False):
            pass

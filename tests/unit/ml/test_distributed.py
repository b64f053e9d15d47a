"""Two ranks on loopback: they take the steps of one host, leave together, go on together, and never hang."""

import signal
import socket
import subprocess
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from ml import distributed
from ml.config import Config
from ml.distributed import ALONE, Ranks, RanksError
from ml.errors import Stopped
from tests.unit.ml.data import write_dataset, write_image
from tests.unit.ml.ranks import free_port, start, train_rank

# 9 pictures a split: batches of 5 of the 18 views leave 3, one too few to share; validation shares are padded.
HEAD = Config(backbone="mobilenet_v3_large", weights="none", image_size=32, epochs=4, batch_size=5, learning_rate=0.003)
FULL = replace(HEAD, fine_tune="full", batch_size=7, epochs=2, learning_rate=0.0005)
LONG = replace(HEAD, epochs=9999, patience=9999)
TIMEOUT_S = 180  # a loaded machine
Process = subprocess.Popen[str]


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_dataset(tmp_path_factory.mktemp("data"), each=3, splits=("train", "valid"))


@pytest.fixture
def started() -> Iterator[list[Process]]:
    """What a test starts is ended with it."""
    processes: list[Process] = []
    yield processes
    for process in processes:
        process.kill()
        process.communicate()


def ended(processes: list[Process]) -> list[tuple[int, str, str]]:
    """Exit status, output and errors of each."""
    outputs = [process.communicate(timeout=TIMEOUT_S) for process in processes]
    return [(process.returncode, *output) for process, output in zip(processes, outputs, strict=True)]


def pair(data: Path, folder: Path, config: Config, started: list[Process], norm: str = "batch") -> list[Process]:
    folder.mkdir(exist_ok=True)
    port = free_port()
    found = [start(data, folder, config, rank, port, norm) for rank in (0, 1)]
    started += found
    return found


def until(process: Process, text: str) -> None:
    assert process.stdout is not None
    assert any(text in line for line in process.stdout), process.communicate()


def weights(folder: Path, rank: int) -> dict[str, torch.Tensor]:
    return load_file(folder / f"rank{rank}.safetensors")


def same(one: dict[str, torch.Tensor], two: dict[str, torch.Tensor]) -> bool:
    return one.keys() == two.keys() and all(torch.equal(one[name], two[name]) for name in one)


@pytest.mark.parametrize("size", [4, 5, 11])
def test_parts_are_the_batch_and_weigh_as_much(size: int) -> None:
    piece = np.random.default_rng(size).permutation(size)
    parts = [Ranks(("a", "b"), rank).part(piece) for rank in (0, 1)]
    assert sorted(np.concatenate(parts)) == list(range(size))
    means = [Ranks(("a", "b")).weight(len(part), size) * part.mean() for part in parts]
    assert np.mean(means) == pytest.approx(piece.mean())


def test_a_batch_too_small_to_share_is_everyones() -> None:
    piece = np.arange(3)
    assert Ranks(("a", "b"), 1).part(piece).tolist() == [0, 1, 2]
    assert Ranks(("a", "b"), 1).weight(3, 3) == 1.0


@pytest.mark.parametrize("count", [1, 6, 7])
def test_shards_are_equally_long_and_hold_everything(count: int) -> None:
    shards = [Ranks(("a", "b", "c"), rank).shard(count) for rank in range(3)]
    assert len({len(shard) for shard in shards}) == 1
    assert np.stack(shards, 1).flatten()[:count].tolist() == list(range(count))


# Largest difference of a weight that was seen: 2e-9 (head), 1e-5 (full, where Adam enlarges differences of rounding).
@pytest.mark.parametrize(("config", "norm", "tolerance"), [(HEAD, "batch", 1e-6), (FULL, "group", 1e-4)])
def test_two_ranks_end_where_one_host_ends(
    config: Config, norm: str, tolerance: float, data: Path, tmp_path: Path, started: list[Process]
) -> None:
    results = ended(pair(data, tmp_path / "two", config, started, norm))
    assert [status for status, _, _ in results] == [0, 0], results
    (tmp_path / "one").mkdir()
    train_rank(data, tmp_path / "one", config, ALONE, norm, lambda: False)
    assert same(weights(tmp_path / "two", 0), weights(tmp_path / "two", 1))
    one, two = weights(tmp_path / "one", 0), weights(tmp_path / "two", 0)
    assert max(float((one[name] - two[name]).abs().max()) for name in one) < tolerance


def test_sigterm_to_one_ends_both_and_they_go_on(data: Path, tmp_path: Path, started: list[Process]) -> None:
    config = replace(FULL, epochs=9999, patience=9999)
    first, second = pair(data, tmp_path, config, started)
    until(first, "epoch=2 ")
    second.send_signal(signal.SIGTERM)
    results = ended([first, second])
    stopped = [output.splitlines()[-1] for _, output, _ in results]
    assert [status for status, _, _ in results] == [0, 0], results
    assert stopped[0].startswith("stopped after_epoch=")
    assert stopped[1] == stopped[0]
    done = int(stopped[0].partition("=")[2])
    results = ended(pair(data, tmp_path, replace(config, epochs=done + 1), started))
    assert [status for status, _, _ in results] == [0, 0], results
    assert all(f"resumed after_epoch={done}\n" in output for _, output, _ in results)
    assert f"epoch={done + 1} train_loss=" in results[0][1]
    assert same(weights(tmp_path, 0), weights(tmp_path, 1))  # batch norm's running figures too


@pytest.mark.parametrize("victim", [0, 1])
def test_a_lost_host_ends_the_other(victim: int, data: Path, tmp_path: Path, started: list[Process]) -> None:
    processes = pair(data, tmp_path, LONG, started)
    other = processes[1 - victim]
    until(other, "epoch=2")
    processes[victim].kill()
    [(status, _, errors)] = ended([other])
    assert status == 1
    assert f"Lost another host of this job (127.0.0.{victim + 1}): its own log says why it ended." in errors


def test_different_data_is_refused(data: Path, tmp_path: Path, started: list[Process]) -> None:
    other = write_dataset(tmp_path / "data", each=3, splits=("train", "valid"))
    write_image(other / "train" / "red" / "0.png", (1, 2, 3))
    port = free_port()
    started += [start(folder, tmp_path, HEAD, rank, port) for rank, folder in enumerate((data, other))]
    results = ended(started)
    assert [status for status, _, _ in results] == [1, 1], results
    assert all("differ in their data digest: give every host the same data" in errors for _, _, errors in results)


@pytest.mark.parametrize(
    ("rank", "says"),
    [(0, "The host 127.0.0.2 did not join"), (1, "The host 127.0.0.1 could not be reached on port")],
)
def test_a_host_that_never_comes_is_named(rank: int, says: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(distributed, "JOIN_TIMEOUT_S", 0.0)
    monkeypatch.setenv("MASTER_PORT", str(free_port()))
    ranks = Ranks(("127.0.0.1", "127.0.0.2"), rank)
    with pytest.raises(RanksError, match=says), ranks.joined("cpu", lambda: False):
        pass
    with pytest.raises(Stopped), ranks.joined("cpu", lambda: True):
        pass


def test_a_port_in_use_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.create_server(("", 0)) as server:
        port = server.getsockname()[1]
        monkeypatch.setenv("MASTER_PORT", str(port))
        message = f"^Port {port} of the host algo-1 cannot be used"
        with pytest.raises(RanksError, match=message), Ranks(("algo-1", "algo-2")).joined("cpu", lambda: False):
            pass

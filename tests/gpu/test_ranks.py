"""Processes that train one model exchange tensors of CUDA devices by NCCL."""

import subprocess
import sys
from pathlib import Path

import pytest
import torch

from benchmarks.ports import free_port
from ml.config import Config
from tests.unit.ml.ranks import ROOT, equal_tensors, start, trained_weights

LIMIT_S = 300
# NCCL takes no device twice, so that one device makes a group of one. The ranks of the trainer are two or more.
ALONE = """
import sys, torch, torch.distributed as dist
store = dist.TCPStore("127.0.0.1", int(sys.argv[1]), 1, True)
dist.init_process_group("cpu:gloo,cuda:nccl", store=store, rank=0, world_size=1)
value = torch.arange(1000.0, device="cuda")
dist.all_reduce(value)
assert torch.equal(value.cpu(), torch.arange(1000.0))
flag = torch.tensor(3)
dist.all_reduce(flag)
assert flag == 3
dist.destroy_process_group()
print("NCCL", torch.cuda.nccl.version())
"""


def test_nccl_works_on_one_device(cuda: str) -> None:
    command = [sys.executable, "-c", ALONE, str(free_port())]
    done = subprocess.run(command, capture_output=True, text=True, timeout=LIMIT_S, cwd=ROOT)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("NCCL")


def test_two_devices_train_one_model(cuda: str, photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    if torch.cuda.device_count() < 2:
        pytest.skip("this machine has one CUDA device")
    port = free_port()
    config = Config(weights="none", fine_tune="full", image_size=64, epochs=2, batch_size=8)
    running = []
    for rank in (0, 1):
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", str(rank))
        running.append(start(photos, tmp_path, config, rank, port))
    for process in running:
        _, error = process.communicate(timeout=LIMIT_S)
        assert process.returncode == 0, error
    assert equal_tensors(trained_weights(tmp_path, 0), trained_weights(tmp_path, 1))

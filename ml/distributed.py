"""Several hosts train one model: who is who, how the work is cut, how they agree. Only this file exchanges anything.

`batch-size` stays the size of the whole batch: every rank draws the same order and takes each world-th example of a
batch, and the gradient is the mean over the whole batch, so several hosts take the steps that one would take. Two
differences are left: sums are rounded in another order, and batch norm normalises by a rank's own part of the batch
(its running figures are averaged over the ranks after each epoch).
One process a host, on its first CUDA device or its CPU. A job of one host does none of this.
"""

import logging
import os
import socket
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta

import numpy as np
import numpy.typing as npt
import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.distributed import TCPStore  # type: ignore[attr-defined]  # documented all the same
from torch.nn.parallel import DistributedDataParallel

from ml.errors import JobError, Stopped, is_out_of_memory

PORT = 29500  # of the first host, unless MASTER_PORT names another
JOIN_TIMEOUT_S = 600.0  # hosts start, and have fetched their data, minutes apart
EXCHANGE_TIMEOUT_S = 300.0  # a host that vanished without closing its connections is given up after this
_POLL_S = 0.2
_log = logging.getLogger(__name__)
_FEWEST = 2  # examples of a batch on each rank: batch norm cannot train on one

Indices = npt.NDArray[np.int64]


class RanksError(JobError):
    """The hosts of a job cannot work together; the message is one clear sentence that names them."""


@dataclass(frozen=True)
class Ranks:
    """The hosts of a job in the order of their ranks, and which of them this process is; by default it is alone.

    `interface` is the network interface between the hosts, used if this host has it. Every method that exchanges
    something must be called by all ranks, in the same order; it raises RanksError when a host is lost.
    """

    hosts: tuple[str, ...] = ("localhost",)
    rank: int = 0
    interface: str = ""

    @property
    def world(self) -> int:
        """The number of hosts."""
        return len(self.hosts)

    @property
    def first(self) -> bool:
        """Whether this is the rank that writes files and metrics."""
        return self.rank == 0

    def part(self, piece: Indices) -> Indices:
        """This rank's part of a batch. One too small to give each rank two examples is computed whole by all."""
        return piece[self.rank :: self.world] if len(piece) >= _FEWEST * self.world else piece

    def weight(self, part: int, whole: int) -> float:
        """What the mean over `part` examples is multiplied with, so that the mean over the ranks is that over `whole`
        examples."""
        return 1.0 if part == whole else part * self.world / whole

    def shard(self, count: int) -> Indices:
        """This rank's share of `count` examples, equally long on every rank: some appear twice (see `gather`)."""
        share = -(-count // self.world)
        return np.arange(self.rank, self.rank + self.world * share, self.world) % count

    def gather(self, rows: Tensor, count: int) -> Tensor:
        """The rows of all `count` examples in their order, from each rank's rows (share, ...) for its `shard`; CPU."""
        if self.world == 1:
            return rows
        parts = [torch.empty_like(rows) for _ in self.hosts]
        with self.exchange():
            dist.all_gather(parts, rows)
        return torch.stack(parts, 1).flatten(0, 1)[:count]  # (share, world, ...) -> (count, ...)

    def mean(self, value: Tensor) -> Tensor:
        """`value`, made in place the mean over the ranks."""
        if self.world > 1:
            with self.exchange():
                dist.all_reduce(value)
            value /= self.world
        return value

    def decided(self, figures: Mapping[str, float]) -> dict[str, float]:
        """The first rank's figures, for decisions that must not differ by a rounding between two kinds of host."""
        values = torch.tensor(list(figures.values()), dtype=torch.float64)
        if self.world > 1:
            with self.exchange():
                dist.broadcast(values, 0)
        return dict(zip(figures, values.tolist(), strict=True))

    def any(self, flag: bool) -> bool:
        """Whether the flag is set on at least one rank."""
        if self.world == 1:
            return flag
        flags = torch.tensor(int(flag))
        with self.exchange():
            dist.all_reduce(flags)
        return bool(flags)

    def agree(self, facts: Mapping[str, str]) -> None:
        """Raises RanksError for the first of the facts that differs between two ranks."""
        if self.world == 1:
            return
        found: list[dict[str, str]] = [{} for _ in self.hosts]
        with self.exchange():
            dist.all_gather_object(found, dict(facts))
        for host, theirs in zip(self.hosts, found, strict=True):
            for name in facts:
                if theirs.get(name) != facts[name]:
                    raise RanksError(
                        f"The hosts {self.hosts[self.rank]} and {host} differ in their {name}: give every host the "
                        "same data and checkpoints (S3DataDistributionType FullyReplicated)."
                    )

    def wrap(self, module: nn.Module) -> nn.Module:
        """`module` with the gradients of all ranks averaged; its weights become those of the first rank."""
        if self.world == 1:
            return module
        with self.exchange():
            return DistributedDataParallel(module, forward_sync_buffers=False)

    @contextmanager
    def exchange(self) -> Iterator[None]:
        """Around whatever waits for the other ranks: an error of the connection is logged and becomes a RanksError."""
        try:
            yield
        except RuntimeError as error:  # torch has no narrower type for gloo's
            if self.world == 1 or is_out_of_memory(error):
                raise
            others = ", ".join(host for host in self.hosts if host != self.hosts[self.rank])
            _log.warning("%s", error)
            raise RanksError(f"Lost another host of this job ({others}): its own log says why it ended.") from error

    @contextmanager
    def joined(self, device: str, stop: Callable[[], bool]) -> Iterator[None]:
        """Waits for all hosts, and connects them while the block runs. Raises Stopped, RanksError.

        After an error the connections are left to the end of the process: closing them could wait for a lost host."""
        if self.world == 1:
            yield
            return
        if self.interface in {name for _, name in socket.if_nameindex()}:
            os.environ.setdefault("GLOO_SOCKET_IFNAME", self.interface)
            os.environ.setdefault("NCCL_SOCKET_IFNAME", self.interface)
        store = self._meet(int(os.environ.get("MASTER_PORT") or PORT), stop)
        backend = "cpu:gloo,cuda:nccl" if device == "cuda" else "gloo"
        timeout = timedelta(seconds=EXCHANGE_TIMEOUT_S)
        with self.exchange():
            dist.init_process_group(backend, store=store, rank=self.rank, world_size=self.world, timeout=timeout)
        yield
        dist.destroy_process_group()

    def _meet(self, port: int, stop: Callable[[], bool]) -> TCPStore:
        """The store that the first host keeps, once every host has signed it."""
        host = "localhost" if self.first else self.hosts[0]
        if not self.first:
            says = f"The host {host} could not be reached on port {port} within {JOIN_TIMEOUT_S:.0f} s"
            _wait(lambda: _listens(host, port), stop, f"{says}: see its log, and whether the hosts may connect.")
        timeout = timedelta(seconds=EXCHANGE_TIMEOUT_S)
        try:
            store = TCPStore(host, port, None, self.first, timeout, wait_for_workers=False)
        except RuntimeError as error:
            raise RanksError(f"Port {port} of the host {self.hosts[0]} cannot be used: {error}") from error
        with self.exchange():
            store.set(f"joined {self.rank}", "")
            for rank, name in enumerate(self.hosts):
                says = f"The host {name} did not join the training within {JOIN_TIMEOUT_S:.0f} s: see its log."
                _wait(lambda key=f"joined {rank}": store.check([key]), stop, says)  # type: ignore[misc]
        return store


ALONE = Ranks()


def _listens(host: str, port: int) -> bool:
    """Whether the host's name is known yet, and the port open."""
    try:
        socket.create_connection((host, port), timeout=5).close()
    except OSError:
        return False
    return True


def _wait(ready: Callable[[], bool], stop: Callable[[], bool], complaint: str) -> None:
    deadline = time.monotonic() + JOIN_TIMEOUT_S
    while not ready():
        if stop():
            raise Stopped
        if time.monotonic() > deadline:
            raise RanksError(complaint)
        time.sleep(_POLL_S)

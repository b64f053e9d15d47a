"""Trains one model on several hosts: how the hosts connect, share each batch and exchange tensors.

No other module of ml exchanges anything between hosts. Each host runs one process, on its first CUDA device or its CPU;
a process is called a rank. A job of one host skips every exchange.

`batch-size` is the size of the whole batch, over all hosts. Every rank draws the same order and takes every n-th
example of a batch (n hosts), and the gradient is the mean over the whole batch, so several hosts take the same steps as
one host. Two differences remain: sums are rounded in another order, and batch norm normalises by a rank's own part of
the batch (its running statistics are averaged over the ranks after each epoch).
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
from torch.distributed import TCPStore  # type: ignore[attr-defined]  # documented, but not in the type hints
from torch.nn.parallel import DistributedDataParallel

from ml.errors import JobError, Stopped, is_out_of_memory

PORT = 29500  # of the first host, if MASTER_PORT names no other
JOIN_TIMEOUT_S = 600.0  # hosts start and finish their downloads minutes apart
# (ours) After this a host counts as lost that does not answer and has not closed its connections, since it is frozen or
# its network is cut. Hosts meet at least once in each batch, so it is also the most that one may be slower in a batch.
EXCHANGE_TIMEOUT_S = 50.0
_POLL_S = 0.2
_log = logging.getLogger(__name__)
_MIN_EXAMPLES = 2  # of a batch on each rank: batch norm cannot train on one

Indices = npt.NDArray[np.int64]


class RanksError(JobError):
    """The hosts of a job cannot work together; the message is one clear sentence that names them."""


@dataclass(frozen=True)
class Ranks:
    """The hosts of a job in the order of their ranks, and the rank of this process; the default is a job of one host.

    `interface` is the network interface between the hosts, used if this host has it. All ranks must call the methods
    that exchange something, in the same order; each raises RanksError when a host is lost.
    """

    hosts: tuple[str, ...] = ("localhost",)
    rank: int = 0
    interface: str = ""

    @property
    def world_size(self) -> int:
        """The number of hosts."""
        return len(self.hosts)

    @property
    def first(self) -> bool:
        """Whether this is the rank that writes files and metrics."""
        return self.rank == 0

    def part(self, batch: Indices) -> Indices:
        """This rank's part of a batch. If the batch is too small to give each rank two examples, all ranks compute the
        whole batch."""
        return batch[self.rank :: self.world_size] if len(batch) >= _MIN_EXAMPLES * self.world_size else batch

    def weight(self, part: int, whole: int) -> float:
        """The factor for the mean over a part of a batch (`part` and `whole` are numbers of examples). With it, the
        mean over the ranks is the mean over the whole batch."""
        return 1.0 if part == whole else part * self.world_size / whole

    def shard(self, count: int) -> Indices:
        """This rank's share of `count` examples. It is equally long on every rank, so some examples appear twice;
        `gather` drops the repeated ones."""
        share = -(-count // self.world_size)
        return np.arange(self.rank, self.rank + self.world_size * share, self.world_size) % count

    def gather(self, rows: Tensor, count: int) -> Tensor:
        """The rows of all `count` examples in their order, on the CPU. `rows` (share, ...) are those of this rank's
        `shard`."""
        if self.world_size == 1:
            return rows
        parts = [torch.empty_like(rows) for _ in self.hosts]
        with self.translate_errors():
            dist.all_gather(parts, rows)
        return torch.stack(parts, 1).flatten(0, 1)[:count]  # (share, hosts, ...) -> (count, ...)

    def mean(self, value: Tensor) -> Tensor:
        """The mean of `value` over the ranks; `value` itself is changed to it."""
        if self.world_size > 1:
            with self.translate_errors():
                dist.all_reduce(value)
            value /= self.world_size
        return value

    def broadcast(self, figures: Mapping[str, float]) -> dict[str, float]:
        """The first rank's figures on every rank, so that all decide alike even where hosts round differently."""
        values = torch.tensor(list(figures.values()), dtype=torch.float64)
        if self.world_size > 1:
            with self.translate_errors():
                dist.broadcast(values, 0)
        return dict(zip(figures, values.tolist(), strict=True))

    def any(self, flag: bool) -> bool:
        """Whether the flag is set on at least one rank."""
        if self.world_size == 1:
            return flag
        flags = torch.tensor(int(flag))
        with self.translate_errors():
            dist.all_reduce(flags)
        return bool(flags)

    def require_equal(self, facts: Mapping[str, str]) -> None:
        """Raises RanksError, which names the fact, unless all ranks have the same facts."""
        if self.world_size == 1:
            return
        found: list[dict[str, str]] = [{} for _ in self.hosts]
        with self.translate_errors():
            dist.all_gather_object(found, dict(facts))
        for host, theirs in zip(self.hosts, found, strict=True):
            for name in facts:
                if theirs.get(name) != facts[name]:
                    raise RanksError(
                        f"The hosts {self.hosts[self.rank]} and {host} differ in their {name}: give every host the "
                        "same data and checkpoints (S3DataDistributionType FullyReplicated)."
                    )

    def wrap(self, module: nn.Module) -> nn.Module:
        """`module` with the weights of the first rank, and with gradients that are averaged over the ranks."""
        if self.world_size == 1:
            return module
        with self.translate_errors():
            return DistributedDataParallel(module, forward_sync_buffers=False)

    @contextmanager
    def translate_errors(self) -> Iterator[None]:
        """Encloses code that waits for other ranks: logs an error of the connection and raises RanksError."""
        try:
            yield
        except RuntimeError as error:  # torch has no narrower type for gloo's
            if self.world_size == 1 or is_out_of_memory(error):
                raise
            others = ", ".join(host for host in self.hosts if host != self.hosts[self.rank])
            _log.warning("%s", error)
            raise RanksError(f"Lost another host of this job ({others}): its own log says why it ended.") from error

    @contextmanager
    def connected(self, device: str, stop: Callable[[], bool]) -> Iterator[None]:
        """Waits for all hosts, and keeps them connected while the block runs. Raises Stopped, RanksError.

        After an error the connections stay open until the process ends: to close them might wait for a lost host."""
        if self.world_size == 1:
            yield
            return
        if self.interface in {name for _, name in socket.if_nameindex()}:
            os.environ.setdefault("GLOO_SOCKET_IFNAME", self.interface)
            os.environ.setdefault("NCCL_SOCKET_IFNAME", self.interface)
        store = self._rendezvous(int(os.environ.get("MASTER_PORT") or PORT), stop)
        backend = "cpu:gloo,cuda:nccl" if device == "cuda" else "gloo"
        timeout = timedelta(seconds=EXCHANGE_TIMEOUT_S)
        with self.translate_errors():
            dist.init_process_group(backend, store=store, rank=self.rank, world_size=self.world_size, timeout=timeout)
        yield
        dist.destroy_process_group()

    def _rendezvous(self, port: int, stop: Callable[[], bool]) -> TCPStore:
        """Returns the store that the first host keeps, after every host has written its name into it."""
        host = "localhost" if self.first else self.hosts[0]
        if not self.first:
            message = f"The host {host} could not be reached on port {port} within {JOIN_TIMEOUT_S:.0f} s"
            _wait(lambda: _listens(host, port), stop, f"{message}: see its log, and whether the hosts may connect.")
        timeout = timedelta(seconds=EXCHANGE_TIMEOUT_S)
        try:
            store = TCPStore(host, port, None, self.first, timeout, wait_for_workers=False)
        except RuntimeError as error:
            raise RanksError(f"Port {port} of the host {self.hosts[0]} cannot be used: {error}") from error
        with self.translate_errors():
            store.set(f"joined {self.rank}", "")
            for rank, name in enumerate(self.hosts):
                message = f"The host {name} did not join the training within {JOIN_TIMEOUT_S:.0f} s: see its log."
                _wait(lambda key=f"joined {rank}": store.check([key]), stop, message)  # type: ignore[misc]
        return store


ONE_HOST = Ranks()


def _listens(host: str, port: int) -> bool:
    """Whether the host's name is known and its port is open."""
    try:
        socket.create_connection((host, port), timeout=5).close()
    except OSError:
        return False
    return True


def _wait(ready: Callable[[], bool], stop: Callable[[], bool], message: str) -> None:
    """Waits until `ready` answers True. Raises Stopped, or RanksError with the message after JOIN_TIMEOUT_S."""
    deadline = time.monotonic() + JOIN_TIMEOUT_S
    while not ready():
        if stop():
            raise Stopped
        if time.monotonic() > deadline:
            raise RanksError(message)
        time.sleep(_POLL_S)

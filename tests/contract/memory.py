"""How much memory a process takes meanwhile."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def memory_grows_less_than(limit_mib: int, pid: int) -> Iterator[None]:
    """At no moment does the process have so much more memory than at the beginning."""
    Path(f"/proc/{pid}/clear_refs").write_text("5")  # the peak begins anew
    before_mib = _memory_mib(pid, "VmRSS")
    yield
    assert _memory_mib(pid, "VmHWM") - before_mib < limit_mib


def _memory_mib(pid: int, name: str) -> int:
    """What /proc has of the process under that name."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return int(next(line.split()[1] for line in lines if line.startswith(f"{name}:"))) // 1024

"""A CUDA device whose memory is nearly full."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch

_SPARE_BYTES = 1 << 30  # enough for CUDA's own context and a network, too little for a large batch


@contextmanager
def full_memory() -> Iterator[None]:
    """Holds the memory of the first device while the block runs, but for _SPARE_BYTES."""
    free, _ = torch.cuda.mem_get_info()
    held = torch.empty(max(0, free - _SPARE_BYTES), dtype=torch.uint8, device="cuda")
    try:
        yield
    finally:
        del held
        torch.cuda.empty_cache()

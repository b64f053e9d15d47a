"""Small tensors are computed by one thread: several mostly wait for each other, on a busy machine for minutes."""

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")

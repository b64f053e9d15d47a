"""Makes the tests compute with one thread: on small tensors several threads mostly wait for each other."""

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")

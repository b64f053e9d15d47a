"""What a process of ours sees of LocalStack's environment: what the machine needs, nothing that steers LocalStack."""

import os
from pathlib import Path

_PASSED_ON = (
    "SSL_CERT_FILE", "SSL_CERT_DIR", "LD_LIBRARY_PATH", "TZ", "OMP_NUM_THREADS", "MKL_NUM_THREADS",
    "OPENBLAS_NUM_THREADS", "CUDA_VISIBLE_DEVICES", "NVIDIA_VISIBLE_DEVICES",
)  # fmt: skip


def minimal_environment(python: Path, home: Path, temporary: Path) -> dict[str, str]:
    """For a program run by `python`, which writes in `home`, and in `temporary` what nobody keeps."""
    return {
        **{key: os.environ[key] for key in _PASSED_ON if key in os.environ},
        "PATH": f"{python.parent}:/usr/local/bin:/usr/bin:/bin",
        "HOME": str(home),
        "TMPDIR": str(temporary),
        "LANG": "C.UTF-8",
        "PYTHONUNBUFFERED": "1",
    }

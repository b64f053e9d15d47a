"""The settings of the server, read once from the environment at the start, and the limits of a request.

SageMaker defines SAGEMAKER_BIND_TO_PORT, SAGEMAKER_BASE_DIR and SAGEMAKER_MULTI_MODEL. Names that begin with
STAGEMAKER_ are our own.
"""

import math
import os
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from containers.serve.engines import SAFE_CHOICE, EngineChoice
from containers.serve.numbers import whole_number

MAX_BODY_BYTES = 6_291_456  # InvokeEndpoint's bound on Body in botocore's service model
MAX_HEADER_BYTES = 65_536  # request line and headers; usual ones are a hundred times smaller
MAX_INSTANCES = 64  # images in one request: a small machine then stays well under SageMaker's 60 s
CHUNK = 4  # images that a model thread decodes and runs as one batch
REMOTE_TIMEOUT_S = 10.0  # for a whole fetch from a URL or S3: name, redirects and body
DRAIN_TIMEOUT_S = 25  # SageMaker kills 30 s after SIGTERM
DEFAULT_QUEUE = 64
RETRY_AFTER_S = 1
ENGINES = ("auto", "onnx", "openvino", "openvino-bf16", "openvino-int8", "torch")
MAX_LOADING = 16  # models that are loaded, or wait for it, at the same time
MAX_MODEL_NAME = 1024  # characters
MAX_MODEL_URL = 4096  # characters, as Linux bounds a path
MAX_PAGE = 100  # models in an answer to GET /models; a larger `limit` means this one, as in Multi Model Server


@dataclass(frozen=True)
class Limits:
    """What clients may leave waiting. Tests have shorter times.

    `connections` is the largest number of connections that wait for the same thing, `readers` the largest number of
    those whose client does not read its answer, and `body_bytes` the memory of all bodies that are still coming.
    """

    head_timeout_s: float = 10.0
    body_timeout_s: float = 20.0
    body_bytes_per_s: int = 10_000  # give a body one second more
    idle_timeout_s: int = 75
    pause_s: float = 0.2  # after a refusal nothing is read from the connection
    connections: int = 2048
    readers: int = 128
    body_bytes: int = 134_217_728

    @classmethod
    def for_open_files(cls, number: int) -> "Limits":
        """The limits for a process that may open so many files: connections that wait take at most three quarters."""
        return cls(connections=min(cls.connections, max(1, number // 4)))


@dataclass(frozen=True)
class ServeSettings:
    """The settings of the server.

    `threads` is the number of threads that run the model, `queue` the largest number of requests that the server holds.
    `allowed_origins` are `host:port` that a URL may name although they are not public, for an operator's own image
    store; the default is none. `engine` is one of ENGINES: auto begins with ONNX Runtime and, when it has nothing to
    do, measures which engine is the fastest for the model; torch is in the image serve-gpu only. `cache_dir` keeps what
    was found.
    A multi-model server loads models from below `models_dir` when it is asked to, for at most `models_memory_bytes`.
    """

    host: str
    port: int
    model_dir: Path
    is_multi_model: bool
    models_dir: Path
    models_memory_bytes: int
    threads: int
    queue: int
    allowed_origins: frozenset[str]
    engine: str
    cache_dir: Path

    @property
    def first_choice(self) -> EngineChoice:
        """What runs a model when it is loaded."""
        name, _, precision = self.engine.partition("-")
        if name == "openvino":
            return EngineChoice(name, precision or "f32", self.threads)
        return EngineChoice(name) if name == "torch" else SAFE_CHOICE

    @classmethod
    def from_environment(cls, environ: Mapping[str, str]) -> "ServeSettings":
        """The settings in these variables. Raises ValueError, which names the variable whose value cannot be used."""
        base = Path(environ.get("SAGEMAKER_BASE_DIR", "/opt/ml"))
        origins = environ.get("STAGEMAKER_FETCH_ALLOW", "").lower().split(",")
        return cls(
            host=environ.get("STAGEMAKER_BIND_HOST", "0.0.0.0"),  # noqa: S104 - a container is reached from outside
            port=_number(environ, "SAGEMAKER_BIND_TO_PORT", 8080, 65535),
            model_dir=base / "model",
            is_multi_model=_is_true(environ, "SAGEMAKER_MULTI_MODEL"),
            models_dir=base / "models",
            models_memory_bytes=_number(environ, "STAGEMAKER_SERVE_MODELS_MEMORY_BYTES", memory_bytes() // 2, 10**15),
            threads=_number(environ, "STAGEMAKER_SERVE_THREADS", cores(), 256),
            queue=_number(environ, "STAGEMAKER_SERVE_QUEUE", DEFAULT_QUEUE, 10_000),
            allowed_origins=frozenset(origin.strip() for origin in origins if origin.strip()),
            engine=_engine(environ),
            cache_dir=Path(environ.get("STAGEMAKER_SERVE_CACHE") or Path(tempfile.gettempdir()) / "stagemaker-serve"),
        )


def cores() -> int:
    """The number of cores that this process may use: its affinity, limited by the control group's CPU quota, which
    `docker run --cpus` sets."""
    usable = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    quota = _quota(Path("/sys/fs/cgroup"))
    return max(1, min(usable, math.ceil(quota)) if quota else usable)


def _quota(root: Path) -> float | None:
    """The CPUs that a control group (version 2, else version 1) allows; None without a limit."""
    try:
        if (root / "cpu.max").is_file():
            limit, period = (root / "cpu.max").read_text().split()
        else:
            limit = (root / "cpu/cpu.cfs_quota_us").read_text().strip()
            period = (root / "cpu/cpu.cfs_period_us").read_text().strip()
        return int(limit) / int(period) if limit not in ("max", "-1") else None
    except (OSError, ValueError):
        return None


def memory_bytes() -> int:
    """The memory that this process may use: the machine's, limited by the control group, as `docker run --memory` sets
    it."""
    physical = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return min(physical, _memory_limit(Path("/sys/fs/cgroup")) or physical)


def _memory_limit(root: Path) -> int | None:
    """The bytes that a control group (version 2, else version 1) allows; None without a limit."""
    for name in ("memory.max", "memory/memory.limit_in_bytes"):
        try:
            return whole_number((root / name).read_text().strip())  # `max` in version 2, a huge number in version 1
        except OSError:
            continue
    return None


def _is_true(environ: Mapping[str, str], name: str) -> bool:
    text = environ.get(name, "false")
    if text.lower() not in ("true", "false"):
        raise ValueError(f"{name} must be true or false, not {text!r}.")
    return text.lower() == "true"


def _engine(environ: Mapping[str, str]) -> str:
    name = environ.get("STAGEMAKER_SERVE_ENGINE", ENGINES[0])
    if name not in ENGINES:
        raise ValueError(f"STAGEMAKER_SERVE_ENGINE must be one of {', '.join(ENGINES)}, not {name!r}.")
    if name == "torch" and find_spec("torch") is None:
        raise ValueError("STAGEMAKER_SERVE_ENGINE is torch, which this image lacks: use stagemaker/serve-gpu.")
    if name.startswith("openvino") and find_spec("openvino") is None:
        raise ValueError(f"STAGEMAKER_SERVE_ENGINE is {name}, which this image lacks: use stagemaker/serve.")
    return name


def _number(environ: Mapping[str, str], name: str, default: int, most: int) -> int:
    text = environ.get(name, str(default))
    number = whole_number(text)
    if number is None or not 1 <= number <= most:
        raise ValueError(f"{name} must be a whole number from 1 to {most}, not {text!r}.")
    return number

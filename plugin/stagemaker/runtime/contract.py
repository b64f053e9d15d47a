"""What runs an image. One contract, kept by every implementation, the fake included.

`tests/contract/test_runtime.py` runs one suite over all of them.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from stagemaker.core.credentials import Credentials
from stagemaker.core.errors import ApiError

BASE = "/opt/ml"  # where SageMaker's folders are in a container
BIND_LABEL = "com.amazonaws.sagemaker.capabilities.accept-bind-to-port"  # AWS's, of an image; its value is "true"


class ImageRefused(ApiError):
    """The runtime cannot run this image; the message is a sentence that says what to do about it."""

    def __init__(self, message: str) -> None:
        super().__init__("ValidationException", message)


class MountRefused(ApiError):
    """The runtime cannot show a folder at this place of a container; the message says what to do about it."""

    def __init__(self, message: str) -> None:
        super().__init__("ValidationException", message)


class HardwareRefused(ApiError):
    """The runtime cannot give the hardware that was asked for; the message says what to do about it."""

    def __init__(self, message: str) -> None:
        super().__init__("ResourceLimitExceeded", message)


class IsolationRefused(ApiError):
    """The runtime cannot keep a container from the network; the message says what to do about it."""

    def __init__(self, message: str) -> None:
        super().__init__("ValidationException", message)


@dataclass(frozen=True)
class Mount:
    """A folder of ours that a container sees at `target`, an absolute path: what its image has there is hidden. The
    caller creates the folder and deletes it."""

    target: str
    folder: Path
    writable: bool = True


def mounts_below_base(base_dir: Path, names: Iterable[str]) -> tuple[Mount, ...]:
    """Each of `names`, a folder in `base_dir`, at its place below BASE."""
    return tuple(Mount(f"{BASE}/{name}", base_dir / name) for name in names)


@dataclass(frozen=True)
class ContainerSpec:
    """What to run: a value, so that a test compares it without running anything."""

    name: str  # unique among what runs now, such as "my-job-algo-1"
    image: str  # as the caller of the API gave it
    command: tuple[str, ...]  # ("train",) or ("serve",); may be empty beside an entry point
    base_dir: Path | None  # a folder of ours that stands for BASE where there are no mounts: in a process
    environment: Mapping[str, str] = field(default_factory=dict)  # names that the runtime sets itself are not taken
    serves: bool = False  # it listens for HTTP on the port that SAGEMAKER_BIND_TO_PORT, set by the runtime, says
    entrypoint: tuple[str, ...] | None = None  # in place of the image's own
    host: str = ""  # its own name of itself, such as "algo-1"
    group: str = ""  # containers of one group are on one network, and find each other by `host`; nobody else is on it
    isolated: bool = False  # it reaches its group and nothing else, and has no credentials
    # Containers of one instance share its network address, and each has a port of its own; empty: it is alone. They are
    # started one after another, and the network ends with the first of them.
    instance: str = ""
    instance_type: str = ""  # such as "ml.g5.xlarge": whether it gets a GPU, and, where asked, how much CPU and memory
    memory_mb: int = 0  # more than this ends it; 0: as the instance type says
    cpus: int = 0  # it gets so many where CPUs are limited; 0: as the instance type says
    mounts: tuple[Mount, ...] = ()  # nothing else of the image is hidden; those below BASE lie in `base_dir` just so
    notes: tuple[str, ...] = ()  # sentences for people, such as what of the caller's wishes is not taken
    working_directory: str = ""  # in place of the image's own
    user: str = ""  # in place of the image's own
    published: bool = False  # its server is reached from this machine's loopback too, at a port that is free
    # Fresh ones of the role whose credentials are in `environment`; None where those there are the caller's own. Where
    # the runtime can, the container asks for them as on AWS, and has none in its environment.
    credentials: Callable[[], Credentials] | None = field(default=None, compare=False)
    pinned: str = ""  # by `Runtime.pin`: what runs, whatever `image` means by now; empty: what `image` means then
    function: bool = False  # as Lambda runs one: a user without rights, nothing writable but /tmp, output in order


@dataclass(frozen=True)
class Exit:
    """How a container ended: `code` is 128 + n when signal n killed it (SIGKILL: 137). `reason` is what the code does
    not say, one sentence, such as that it ran out of memory; mostly empty."""

    code: int
    reason: str = ""
    out_of_memory: bool = False
    lost: bool = False  # the engine or somebody else ended it: the program is not to blame


@dataclass(frozen=True)
class Usage:
    """What a container uses: processor time since its start, and memory now, of what it may have or, without a limit,
    of what the machine has."""

    cpu_s: float
    memory_bytes: int
    memory_limit_bytes: int


@dataclass(frozen=True)
class Pull:
    """How the engine gets an image out of a registry: `reference` names it by its digest."""

    reference: str
    user: str
    password: str


class Registry(Protocol):
    """The registry that CreateTrainingJob's image names point into."""

    def find(self, image: str) -> Pull | None:
        """None when the name is not one of this registry's. Raises ImageRefused, in AWS's words, when it is one and
        there is no such repository, tag or digest; ApiError 500 when the registry does not answer."""


class Container(Protocol):
    """One running or ended container. All methods may be called from any thread."""

    @property
    def spec(self) -> ContainerSpec: ...

    @property
    def address(self) -> tuple[str, int] | None:
        """Host and port that reach the container's server from here, or None when it does not serve."""

    @property
    def published(self) -> tuple[str, int] | None:
        """Where programs of this machine, such as a browser, reach the server of a spec that is `published`."""

    @property
    def base(self) -> str:
        """The folder by whose name its program finds what the spec has below BASE: BASE, but in a process."""

    @property
    def hardware(self) -> str:
        """What it runs on, for people: "CPU", "1 GPU", or why it has no GPU though its instance type has one."""

    @property
    def notes(self) -> tuple[str, ...]:
        """The spec's, and the runtime's own: what of the spec it did not take. For the first lines of a log."""

    @property
    def running(self) -> bool:
        """Whether its program runs, as far as is known. False some time before `poll` tells of the end: from then on
        `address` may be another container's."""

    def poll(self) -> Exit | None:
        """How it ended, or None while it runs. Never blocks. Not None only after the last line of output was given."""

    def wait(self, timeout_s: float) -> Exit | None:
        """As `poll`, after waiting for the end for at most `timeout_s`."""

    def usage(self) -> Usage | None:
        """What it and all that it started use now; None when it has ended, or where that cannot be told now."""

    def stop(self, grace_s: float) -> Exit:
        """SIGTERM to the container's own process, SIGKILL to everything it started after `grace_s`; returns when
        nothing of it is left. Idempotent; after the end it returns the Exit at once. Not from inside `on_line`."""


class Runtime(Protocol):
    """Runs images. All methods may be called from any thread. Its threads are its supervisor's, which closes it."""

    def check_image(self, image: str, entrypoint: tuple[str, ...] | None = None, command: tuple[str, ...] = ()) -> None:
        """Raise ImageRefused when `start` could not run this image, or not with this entry point and command. Called
        when a job or a model is created."""

    def pin(self, image: str) -> str:
        """The name by which `start` runs what `image` means now, also when that name means another image later, or is
        gone from its registry. It ends with the image's digest, `sha256:<64 hex digits>`; it is `image` itself where
        images have none. Raises as `check_image`."""

    def check_mounts(self, targets: Iterable[str]) -> None:
        """Raise MountRefused when `start` could not show folders at these absolute paths."""

    def check_hardware(self, instance_type: str, hosts: int) -> None:
        """Raise HardwareRefused when `start` could not give so many hosts of this type, or not find each other."""

    def check_isolation(self) -> None:
        """Raise IsolationRefused when `start` could not isolate a container."""

    def check_shared_instance(self, images: Iterable[str]) -> None:
        """Raise ImageRefused when `start` could not run containers of these images in one instance: by its label
        BIND_LABEL an image must say that it listens where SAGEMAKER_BIND_TO_PORT says. May take as long as a pull."""

    def start(self, spec: ContainerSpec, on_line: Callable[[str], None]) -> Container:
        """Start it and return at once. `on_line` gets each line of stdout and stderr (no line end, undecodable bytes
        replaced, at most 64 KiB a line) from a thread of the runtime, each in order. Raises ImageRefused,
        ApiError("InternalFailure", ..., 500) when the machine cannot start it, and ApiError("ServiceUnavailable", ...,
        503) once the runtime or its supervisor is closing; then nothing is left running."""

    def sweep(self) -> int:
        """Kill what an earlier instance of this runtime over the same state left behind; how many. Called at start."""

    def close(self) -> None:
        """Kill everything that still runs, at once. Idempotent; `start` answers ServiceUnavailable (503) afterwards."""

"""What the images leave out (containers/left_out.toml) is nothing that a library which stays would load."""

import json
import subprocess
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import pytest

from containers.left_out import LIST, parts
from infra.paths import CHECKOUT

INSIDE = Path(__file__).with_name("shared_libraries.py")
DRIVER = {"libcuda.so.1"}  # of NVIDIA's driver, which its container runtime brings
# The wheels leave these to the machine: plugins for networks between machines, and a library of Fortran's that
# PyTorch's wheel has and nothing needs.
OF_OTHER_NETWORKS = {
    *("libmlx5.so.1", "librdmacm.so.1", "libibverbs.so.1", "libmpi.so.40", "libpmix.so.2", "liboshmem.so.40"),
    *("libfabric.so.1", "libucs.so.0", "libucp.so.0", "libquadmath.so.0"),
}
PARTS = parts(LIST.read_text())
# OpenVINO's plugins are left out: its main library knows their names, and loads one when its device is asked for.
LEFT_OUT = sorted(
    PurePosixPath(path).name.partition(".so")[0] + ".so"
    for part in PARTS
    for path in part.paths
    if part.package != "openvino" and ".so" in path
)
CUDA = ("libcublas", "libcublasLt", "libcudart", "libcudnn", "libcufft", "libcusparse", "libcusparseLt", "libnccl")


@dataclass(frozen=True)
class Libraries:
    """`libraries` are paths below site-packages with the names that each needs; `system`'s are known to the loader;
    `named` has for each name of LEFT_OUT the paths that have it in their bytes."""

    libraries: dict[str, list[str]]
    system: list[str]
    named: dict[str, list[str]]

    def closure(self, path: str) -> set[str]:
        """The names of all that a library needs, and what these need."""
        by_name: dict[str, set[str]] = {}
        for each, wanted in self.libraries.items():
            by_name.setdefault(PurePosixPath(each).name, set()).update(wanted)
        found: set[str] = set()
        new = set(self.libraries[path])
        while new:
            found |= new
            new = {name for each in new for name in by_name.get(each, ())} - found
        return found


@pytest.fixture(scope="module")
def image() -> Libraries:
    """Builds the image from this checkout. An unchanged one takes a second."""
    subprocess.run([CHECKOUT / "scripts" / "build", "trainer"], check=True)
    return libraries("stagemaker/trainer")


def libraries(name: str) -> Libraries:
    """Of an image. serve-gpu has the same layers as the trainer (tests/unit/containers/test_dockerfiles.py)."""
    command = ["docker", "run", "--rm", "--interactive", "--network", "none", "--env", f"NAMES={' '.join(LEFT_OUT)}"]
    done = subprocess.run([*command, name, "python", "-"], input=INSIDE.read_bytes(), capture_output=True, check=True)
    return Libraries(**json.loads(done.stdout))


def test_every_library_that_stays_finds_what_it_needs(image: Libraries) -> None:
    assert len(image.libraries) > 100
    there = {PurePosixPath(path).name for path in image.libraries} | set(image.system) | DRIVER | OF_OTHER_NETWORKS
    assert {path: names for path, wanted in image.libraries.items() if (names := set(wanted) - there)} == {}


def test_what_cuda_training_loads_is_there(image: Libraries) -> None:
    """PyTorch's module needs the libraries of CUDA, and of these each is a file in the image or the driver's."""
    (module,) = (path for path in image.libraries if path.startswith("torch/_C."))
    wanted = image.closure(module)
    assert {f"{name}.so" for name in CUDA} <= {name.partition(".so")[0] + ".so" for name in wanted}
    there = {PurePosixPath(path).name for path in image.libraries} | set(image.system)
    assert wanted <= there


def test_no_library_that_stays_has_the_name_of_one_that_was_left_out(image: Libraries) -> None:
    assert {"libcusolverMg.so", "libcufftw.so", "libnvblas.so"} == set(image.named)
    assert image.named == {name: [] for name in LEFT_OUT}

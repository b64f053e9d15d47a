"""How the engine reaches our folders."""

from pathlib import Path

import pytest

from stagemaker.runtime.docker.mounts import OwnContainer, Unreachable, identity, mount, own_container

ID = "3f" * 32
IN_A_CONTAINER = f"""\
741 512 0:120 / / rw,relatime master:213 - overlay overlay rw,lowerdir=/var/lib/docker/overlay2/l/A
742 741 0:123 / /proc rw,nosuid - proc proc rw
750 741 254:1 /docker/volumes/state/_data /var/lib/stagemaker rw - ext4 /dev/vda1 rw
751 741 254:1 /var/lib/docker/containers/{ID}/resolv.conf /etc/resolv.conf rw - ext4 /dev/vda1 rw
"""
ON_THE_MACHINE = f"""\
22 1 254:0 / / rw,relatime - ext4 /dev/vda rw
90 22 0:50 / /var/lib/docker/containers/{ID}/mounts/shm rw - tmpfs shm rw,size=65536k
"""
OWN = OwnContainer(
    ID,
    (
        {"Type": "volume", "Name": "state", "Source": "/docker/volumes/state/_data", "Destination": "/var/lib/stage"},
        {"Type": "bind", "Source": "/home/me/data", "Destination": "/var/lib/stage/data"},
        {"Type": "tmpfs", "Source": "", "Destination": "/tmp"},
    ),
    ("localstack",),
)
API = (1, 45)


def test_the_own_container_is_read_from_the_mounts() -> None:
    assert own_container(IN_A_CONTAINER) == ID
    assert own_container(ON_THE_MACHINE) is None
    assert own_container("") is None


def test_on_the_machine_a_folder_is_mounted_by_its_path() -> None:
    expected = {"Type": "bind", "Source": "/work/job", "Target": "/opt/ml", "ReadOnly": False}
    assert mount(None, (1, 24), Path("/work/job"), "/opt/ml", read_only=False) == expected
    assert identity(None, Path("/work/job")) == "/work/job"


def test_a_folder_of_a_volume_is_a_subpath() -> None:
    found = mount(OWN, API, Path("/var/lib/stage/job/1"), "/opt/ml", read_only=True)
    options = {"NoCopy": True, "Subpath": "job/1"}
    assert found == {
        "Type": "volume", "Source": "state", "Target": "/opt/ml", "ReadOnly": True, "VolumeOptions": options,
    }  # fmt: skip
    assert identity(OWN, Path("/var/lib/stage/job")) == "volume:state/job"


def test_a_whole_volume_needs_no_subpath_and_so_no_new_engine() -> None:
    found = mount(OWN, (1, 44), Path("/var/lib/stage"), "/opt/ml", read_only=True)
    assert found["VolumeOptions"] == {"NoCopy": True}
    with pytest.raises(Unreachable, match=r"its API is 1\.44\): update Docker to version 26"):
        mount(OWN, (1, 44), Path("/var/lib/stage/job"), "/opt/ml", read_only=True)


def test_the_innermost_mount_counts() -> None:
    found = mount(OWN, API, Path("/var/lib/stage/data/x"), "/opt/ml", read_only=False)
    assert found == {"Type": "bind", "Source": "/home/me/data/x", "Target": "/opt/ml", "ReadOnly": False}
    assert identity(OWN, Path("/var/lib/stage/data")) == "bind:/home/me/data"


@pytest.mark.parametrize("folder", ["/tmp/x", "/var/lib", "/var/lib/stages"])
def test_a_folder_on_no_volume_is_refused(folder: str) -> None:
    with pytest.raises(Unreachable, match=f"the folder {folder} .* is on no volume.*: mount a volume there"):
        mount(OWN, API, Path(folder), "/opt/ml", read_only=False)

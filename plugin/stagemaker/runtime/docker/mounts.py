"""How the engine reaches a folder of ours: by its path where we run on the engine's machine, and where we run in a
container ourselves, through the volume or folder that is mounted into it. Pure."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

SUBPATH_API = (1, 45)  # engine 26
_CONTAINER = re.compile(r"/containers/([0-9a-f]{64})/")
_OF_THE_ENGINE = ("/etc/hostname", "/etc/hosts", "/etc/resolv.conf")


class Unreachable(Exception):
    """The engine cannot mount a folder; the message says what to do."""


@dataclass(frozen=True)
class OwnContainer:
    """The container that we run in: its id, its mounts as the engine inspects them, its names on our network, and the
    id of its image."""

    id: str
    mounts: tuple[Mapping[str, Any], ...]
    aliases: tuple[str, ...]
    image: str = ""


def own_container(mountinfo: str) -> str | None:
    """The id of the container that we run in, from /proc/self/mountinfo (proc(5)): the engine mounts files that lie in
    a folder of this name. None outside a container."""
    for line in mountinfo.splitlines():
        _, _, _, root, point, *_ = line.split(" ")
        if point in _OF_THE_ENGINE and (found := _CONTAINER.search(root)):
            return found[1]
    return None


def mount(
    own: OwnContainer | None, api: tuple[int, int], folder: Path, target: str, *, read_only: bool
) -> dict[str, Any]:
    """A Mount of the engine's ContainerCreate that shows `folder`, an absolute path without links, at `target`."""
    if own is None:
        return {"Type": "bind", "Source": str(folder), "Target": target, "ReadOnly": read_only}
    held = _holding(own.mounts, folder)
    inside = folder.relative_to(held["Destination"])
    if held["Type"] == "bind":
        return {"Type": "bind", "Source": str(held["Source"] / inside), "Target": target, "ReadOnly": read_only}
    options: dict[str, Any] = {"NoCopy": True}
    if inside.parts:
        if api < SUBPATH_API:
            raise Unreachable(
                f"this Docker engine cannot mount a folder of a volume (its API is {api[0]}.{api[1]}): "
                "update Docker to version 26 or newer"
            )
        options["Subpath"] = str(inside)
    volume = {"Type": "volume", "Source": str(held["Source"]), "VolumeOptions": options}
    return {**volume, "Target": target, "ReadOnly": read_only}


def identity(own: OwnContainer | None, folder: Path) -> str:
    """What names a folder for ever on this engine: in two containers the same path is not the same folder."""
    if own is None:
        return str(folder)
    held = _holding(own.mounts, folder)
    return f"{held['Type']}:{held['Source'] / folder.relative_to(held['Destination'])}"


def _holding(mounts: Iterable[Mapping[str, Any]], folder: Path) -> dict[str, Any]:
    """Type, Source (a volume's name or a path of the engine's machine) and Destination of the innermost mount."""
    holding = [found for found in mounts if folder.is_relative_to(found["Destination"])]
    held = max(holding, key=lambda found: len(Path(found["Destination"]).parts), default=None)
    if held is None or held["Type"] not in ("volume", "bind"):
        raise Unreachable(
            f"the folder {folder} of LocalStack's container is on no volume, and so Docker cannot mount it into other "
            "containers: mount a volume there or above it"
        )
    return {**held, "Source": Path(held["Name"] if held["Type"] == "volume" else held["Source"])}

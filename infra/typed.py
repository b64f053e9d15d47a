"""The commands that a user is told to type: with the settings in use, since another shell may not have them."""

import os
from collections.abc import Mapping

_PROJECT, _PORTS = ("STAGEMAKER_PROJECT",), ("PORT", "REGISTRY_PORT")
_SETTINGS = {
    "demo": ("DOCKER", *_PROJECT, *_PORTS),
    "start": ("PORT",),
    "up": (*_PROJECT, *_PORTS),
    "down": _PROJECT,
    "status": _PROJECT,
    "deploy": ("PORT",),
    "destroy": ("PORT",),
    "invoke": ("PORT",),
    "load": ("PORT",),
    "policy": ("PORT",),
}


def make(target: str, environ: Mapping[str, str] = os.environ) -> str:
    """What runs this target of the Makefile for the same stack, such as `PORT=4600 make start`."""
    return with_settings(f"make {target}", *_SETTINGS.get(target, ()), environ=environ)


def with_settings(command: str, *names: str, environ: Mapping[str, str] = os.environ) -> str:
    """The command after those of the variables that are set."""
    return " ".join([*(f"{name}={environ[name]}" for name in names if environ.get(name)), command])

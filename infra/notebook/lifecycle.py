"""The lifecycle configuration of the notebook instance: the values of a deployment, and below them the scripts of this
folder. Pure, but for the scripts, which are read once.

OnCreate brings the notebook and the list of its packages from the bucket, and clones the repository. OnStart installs
the packages by hash, makes the kernel that has them, and stops the instance when nobody uses it.
"""

import base64
import json
import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from infra.blueprint import Blueprint
from infra.notebook.names import kernel_environment, name
from infra.notebook.settings import NotebookSettings

MAX_CHARACTERS = 16_384  # of base64; AWS's
VOLUME = "/home/ec2-user/SageMaker"  # AWS's
CONDA = "/home/ec2-user/anaconda3"  # AWS's
LOG = "/var/log/stagemaker-idle.log"
FOLDER = Path(__file__).parent
_COMMON, _ON_CREATE, _ON_START, _INSTALL, _FETCH, _IDLE = (
    (FOLDER / file).read_text()
    for file in ("common.sh", "on_create.sh", "on_start.sh", "install.sh", "fetch.py", "idle.py")
)


def lifecycle_request(blueprint: Blueprint, settings: NotebookSettings) -> dict[str, Any]:
    """CreateNotebookInstanceLifecycleConfig. Raises ValueError for a script that is longer than AWS takes."""
    scripts = {"OnCreate": on_create(blueprint, settings), "OnStart": on_start(blueprint, settings)}
    contents = {hook: base64.b64encode(script.encode()).decode() for hook, script in scripts.items()}
    for hook, content in contents.items():
        if len(content) > MAX_CHARACTERS:
            raise ValueError(f"{hook} has {len(content):,} characters in base64, and AWS takes {MAX_CHARACTERS:,}.")
    return {
        "NotebookInstanceLifecycleConfigName": name(blueprint),
        **{hook: [{"Content": content}] for hook, content in contents.items()},
        "Tags": blueprint.tags,
    }


def on_create(blueprint: Blueprint, settings: NotebookSettings, volume: str = VOLUME, conda: str = CONDA) -> str:
    """The script that runs once, when the instance is created."""
    values = {
        "REGION": blueprint.settings.region,
        "BUCKET": blueprint.bucket,
        "REPOSITORY": settings.repository,
        "COMMIT": settings.commit,
        "FETCH": _FETCH,
    }
    return _script({"VOLUME": volume, "CONDA": conda, **values}, _ON_CREATE)


def on_start(
    blueprint: Blueprint, settings: NotebookSettings, volume: str = VOLUME, conda: str = CONDA, log: str = LOG
) -> str:
    """The script that runs at each start. Its kernel knows the names that the notebook shall use."""
    kernel = {
        "argv": ["@PYTHON@", "-m", "ipykernel_launcher", "-f", "{connection_file}"],
        "display_name": "Stagemaker",
        "language": "python",
        "env": kernel_environment(blueprint),
    }
    values = {
        "KERNEL": json.dumps(kernel),
        "IDLE_S": str(settings.idle_minutes * 60),
        "LOG": log,
        "INSTALL": _INSTALL,
        "IDLE": _IDLE,
    }
    return _script({"VOLUME": volume, "CONDA": conda, **values}, _ON_START)


def _script(values: Mapping[str, str], script: str) -> str:
    text = "".join(f"{key}={shlex.quote(value)}\n" for key, value in values.items())
    return f"#!/bin/bash\n{text}{_COMMON}{script}"

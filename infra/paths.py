"""Where things lie in a checkout: everything that is made goes under `.stagemaker/`."""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

CHECKOUT = Path(__file__).resolve().parent.parent


@dataclass(frozen=True)
class Paths:
    """`environments` holds one virtual environment an image, `state` LocalStack's files, `data` data sets."""

    environments: Path
    images: Path
    data: Path
    state: Path

    @property
    def log(self) -> Path:
        """LocalStack's output of its last run."""
        return self.state / "log"

    @property
    def pictures(self) -> Path:
        """What tuning jobs looked like."""
        return self.state / "tuning"

    @property
    def record(self) -> Path:
        """Which LocalStack runs over this state, for `stop` and `status` in another shell."""
        return self.state / "stack.json"


def paths(environ: Mapping[str, str] = os.environ, checkout: Path = CHECKOUT) -> Paths:
    """The checkout's paths. STAGEMAKER_STATE moves the state folder, so that tests run beside a stack in use."""
    home = checkout / ".stagemaker"
    state = Path(environ["STAGEMAKER_STATE"]).resolve() if environ.get("STAGEMAKER_STATE") else home / "state"
    return Paths(environments=home / "env", images=checkout / "containers", data=home / "data", state=state)

"""What the plugin reads from its environment, once and in one place: whoever starts LocalStack sets it."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Settings:
    """Where the process runtime finds images and environments, and where we work."""

    images: Path  # STAGEMAKER_IMAGES: `containers/` of the repository, one folder an image
    environments: Path  # STAGEMAKER_ENVIRONMENTS: one virtual environment an image
    work_dir: Path  # ours alone: emptied at the start, gone at the end
    gateway_url: str  # where containers and we ourselves reach AWS's services


def read_settings(environment: Mapping[str, str], data_dir: Path, gateway_url: str) -> Settings:
    """Raise ValueError with one sentence when a variable is missing or names no folder."""
    return Settings(
        images=_folder(environment, "STAGEMAKER_IMAGES"),
        environments=_folder(environment, "STAGEMAKER_ENVIRONMENTS"),
        work_dir=data_dir / "stagemaker",
        gateway_url=gateway_url,
    )


def _folder(environment: Mapping[str, str], name: str) -> Path:
    value = environment.get(name)
    if not value or not Path(value).is_dir():
        raise ValueError(f"{name} must name a folder that exists (it is {value or 'not set'}).")
    return Path(value).absolute()

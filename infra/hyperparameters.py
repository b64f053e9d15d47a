"""Hyperparameters, and ranges to search, that suit the data: small drawings and photos want different ones. Data, no
decisions elsewhere."""

from collections.abc import Mapping
from dataclasses import replace
from types import MappingProxyType

from infra.data.dataset import Dataset
from infra.data_bucket.stored import StoredDataset
from infra.errors import StepFailed
from infra.settings import DeploymentSettings, Ranges
from ml.config import Config, ConfigError
from ml.photos import BadImage, decode

SMALL_SIDE = 96  # pixels: below it the pictures are drawings or icons, which a photo model's large input only slows

PHOTOS: Mapping[str, str] = MappingProxyType({})  # the trainer's own defaults
DRAWINGS: Mapping[str, str] = MappingProxyType(
    {
        "fine-tune": "full",
        "image-size": "48",
        "crop": "1.0",
        "min-crop": "0.7",
        "flip": "false",  # a mirrored 2 is no 2
        "epochs": "5",
        "batch-size": "32",
        "learning-rate": "0.002",
        "head-rate": "1.0",  # a backbone for photos has as much to learn as the head
        "norm-statistics": "batch",
    }
)
PHOTO_RANGES = Ranges({"learning-rate": ("0.0003", "0.03")}, {"batch-size": ("32", "64", "128")})
DRAWING_RANGES = Ranges({"learning-rate": ("0.0002", "0.01")}, {"batch-size": ("16", "32", "64")})


def suited_to(dataset: Dataset | StoredDataset, settings: DeploymentSettings) -> DeploymentSettings:
    """The settings, and where they leave it open, hyperparameters and ranges for this data set, judged by its first
    photo."""
    small = _is_small(dataset.sample)
    suited = DRAWINGS if small else PHOTOS
    tuning = settings.tuning
    if tuning.ranges == Ranges():
        tuning = replace(tuning, ranges=DRAWING_RANGES if small else PHOTO_RANGES)
    return replace(settings, hyperparameters={**suited, **settings.hyperparameters}, tuning=tuning)


def check(settings: DeploymentSettings) -> None:
    """Raises StepFailed for a hyperparameter, or a value of a search, that the trainer refuses. A job that does so
    itself has data to send and an instance to wait for before."""
    ranges = settings.tuning.ranges
    searched = {**ranges.continuous, **ranges.categorical}
    tried = [{}, *({name: value} for name, values in searched.items() for value in values)]
    for values in tried:
        try:
            Config.from_hyperparameters({**settings.hyperparameters, **values})
        except ConfigError as error:
            raise StepFailed(
                str(error), "Mend --set, or the preset. docs/containers.md lists the hyperparameters."
            ) from None


def _is_small(content: bytes) -> bool:
    """Whether it is a drawing or an icon; what cannot be decoded is taken for a photo."""
    try:
        return min(decode(content).size) <= SMALL_SIDE
    except BadImage:
        return False

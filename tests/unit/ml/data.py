"""Small data sets for the tests of ml: coloured squares, one colour for each class."""

from pathlib import Path

import numpy as np
from PIL import Image

COLOURS = {"blue": (40, 60, 200), "green": (40, 180, 60), "red": (200, 50, 40)}


def write_image(path: Path, colour: tuple[int, int, int], seed: int = 0, side: int = 40) -> None:
    """Writes a square of one colour with noise; `side` is in pixels."""
    path.parent.mkdir(parents=True, exist_ok=True)
    noise = np.random.default_rng(seed).integers(-40, 40, (side, side, 3))
    Image.fromarray((np.array(colour) + noise).clip(0, 255).astype(np.uint8)).save(path)


def write_dataset(root: Path, each: int = 4, splits: tuple[str, ...] = ("train", "valid", "test")) -> Path:
    """Writes `each` pictures of each class into each split, and returns `root`."""
    for number, split in enumerate(splits):
        for name, colour in COLOURS.items():
            for index in range(each):
                write_image(root / split / name / f"{index}.png", colour, seed=1000 * number + index)
    return root

"""Tiny labelled pictures that a network can learn in seconds: one colour a class, with noise."""

from pathlib import Path

import numpy as np
from PIL import Image

COLOURS = {"blue": (30, 60, 220), "green": (40, 200, 60), "red": (220, 50, 40)}
COUNTS = {"train": 8, "valid": 4, "test": 4}


def write_photos(root: Path, side: int = 40) -> Path:
    """`root`/<split>/<class>/<n>.png, the same on every call."""
    noise = np.random.default_rng(0)
    for split, count in COUNTS.items():
        for name, colour in COLOURS.items():
            folder = root / split / name
            folder.mkdir(parents=True)
            for number in range(count):
                pixels = np.array(colour) + noise.normal(0, 25, (side, side, 3))
                Image.fromarray(pixels.clip(0, 255).astype("uint8")).save(folder / f"{number}.png")
    return root

"""Real data that a package ships: scikit-learn's 1,797 handwritten digits, written as images in the data set's layout.

So `make demo` has something to learn on a machine that has neither photos nor the internet.
"""

import shutil
import tempfile
from pathlib import Path

from PIL import Image

SIDE = 64  # pixels; the digits are 8 x 8, enlarged so that a person sees them and a JPEG-sized model can use them
_LEVELS = 16  # the pixels' values are 0..16
_CYCLE = 20  # of every 20 of a class: 14 to train, 3 to valid, 3 to test


def make(folder: Path, per_class: int | None = None) -> Path:
    """Write the digits to `folder` unless they are there; all of them, or `per_class` of each. The same on every
    machine; the folder appears complete or not at all. Returns the folder."""
    if folder.is_dir():
        return folder
    folder.parent.mkdir(parents=True, exist_ok=True)
    draft = Path(tempfile.mkdtemp(prefix=f".{folder.name}-", dir=folder.parent))
    try:
        _write(draft, per_class)
        draft.chmod(0o755)
        draft.replace(folder)
    finally:
        shutil.rmtree(draft, ignore_errors=True)
    return folder


def split_of(index: int) -> str:
    """The split of a class's n-th digit: about 70, 15 and 15 %."""
    place = index % _CYCLE
    return "train" if place < 14 else "valid" if place < 17 else "test"


def _write(draft: Path, per_class: int | None) -> None:
    from sklearn.datasets import load_digits  # slow to import, and rarely needed

    digits = load_digits()
    seen: dict[int, int] = {}
    for pixels, label in zip(digits.images, digits.target, strict=True):
        index = seen[int(label)] = seen.get(int(label), -1) + 1
        if per_class is not None and index >= per_class:
            continue
        path = draft / split_of(index) / f"digit-{label}" / f"{label}-{index:03}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        image = Image.fromarray((pixels * (255 / _LEVELS)).round().astype("uint8"))
        image.resize((SIDE, SIDE), Image.Resampling.BICUBIC).save(path)

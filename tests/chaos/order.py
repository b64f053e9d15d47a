"""Pure: which experiments run, and in which order."""

import random
from collections.abc import Collection, Sequence


def choose(names: Sequence[str], only: Collection[str], seed: int) -> list[str]:
    """The named ones, or all of them, in the order that the seed gives. ValueError names what there is not."""
    if unknown := sorted(set(only) - set(names)):
        raise ValueError(f"There is no experiment {', '.join(unknown)}: choose from {', '.join(names)}.")
    chosen = [name for name in names if not only or name in only]
    random.Random(seed).shuffle(chosen)  # noqa: S311 - an order that can be repeated, not a secret
    return chosen

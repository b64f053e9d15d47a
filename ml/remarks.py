"""What a training says about itself in words, as it trains: figures that a beginner would not know to look at. Pure."""

import itertools
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

# All (ours): how far a figure has to go before it is worth a sentence.
_RISING_EPOCHS = 3
_GROWN = 2.0  # times what the training loss was at first, or that of guessing
_WORSE = 1.1  # times the least validation loss
_VANISHED = 1e-7  # of the norm of the gradients
_LEARNT = 0.01  # a training loss below which there is nothing left to learn
_SAME = 0.01  # the part of the training loss that a loss which stays the same may change by in an epoch
_MIN_EPOCHS = 3  # before a class that is never predicted is named
_NAMED = 3


@dataclass(frozen=True)
class Seen:
    """A training after an epoch: the figures of all epochs, the number of classes, those of validation photos that no
    photo was given, and the norm of the gradients of the epoch's last batch."""

    history: Sequence[Mapping[str, float]]
    classes: int
    never_predicted: Sequence[str]
    gradient_norm: float


def remarks(seen: Seen) -> dict[str, str]:
    """A sentence for each thing that is wrong, by a name that stays the same from epoch to epoch."""
    found = {name: remark(seen) for name, remark in _REMARKS.items()}
    return {name: sentence for name, sentence in found.items() if sentence}


def _vanished(seen: Seen) -> str:
    if seen.gradient_norm >= _VANISHED or len(seen.history) < 2:
        return ""
    before, last = (row["train_loss"] for row in seen.history[-2:])
    if last < _LEARNT or abs(last - before) > _SAME * before:  # of one batch alone they may be zero by chance
        return ""
    return (
        f"The gradients have vanished (norm {seen.gradient_norm:.1g}): nothing is learnt any more. "
        "Another 'learning-rate', or pretrained weights, may help."
    )


def _diverging(seen: Seen) -> str:
    first, last = seen.history[0]["train_loss"], seen.history[-1]["train_loss"]
    guessing = math.log(seen.classes)
    if last > _GROWN * first:
        return f"The training loss has grown from {first:.3f} to {last:.3f}: a smaller 'learning-rate' may help."
    if last > _GROWN * guessing:
        return (
            f"The training loss is {last:.3f}, and that of guessing among {seen.classes} classes is {guessing:.3f}: "
            "a smaller 'learning-rate' may help."
        )
    return ""


def _by_heart(seen: Seen) -> str:
    """Validation that gets worse while training gets better."""
    last = seen.history[-_RISING_EPOCHS - 1 :]
    if len(last) <= _RISING_EPOCHS:
        return ""
    steps = list(itertools.pairwise(last))
    rises = all(after["valid_loss"] > before["valid_loss"] for before, after in steps)
    falls = all(after["train_loss"] < before["train_loss"] for before, after in steps)
    least = min(row["valid_loss"] for row in seen.history)
    is_far = last[-1]["valid_loss"] > max(_GROWN * last[-1]["train_loss"], _WORSE * least)
    if not (rises and falls and is_far):
        return ""
    return (
        f"The validation loss has risen for {_RISING_EPOCHS} epochs ({last[-1]['valid_loss']:.3f}) while the training "
        f"loss fell ({last[-1]['train_loss']:.3f}): the model learns its training photos by heart. The best epoch is "
        "kept; more photos, a larger 'weight-decay' or 'label-smoothing' may help."
    )


def _missing(seen: Seen) -> str:
    names = seen.never_predicted
    if len(seen.history) < _MIN_EPOCHS or not names:
        return ""
    more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
    shown = ", ".join(f"'{name}'" for name in names[:_NAMED])
    return f"No validation photo is predicted as {shown}{more}. More photos of it, or class-weights=balanced, may help."


_REMARKS: Mapping[str, Callable[[Seen], str]] = {
    "vanished": _vanished,
    "diverging": _diverging,
    "by heart": _by_heart,
    "missing": _missing,
}

"""What a training says about itself in words, as it trains: figures that a beginner would not know to look at. Pure."""

import itertools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

# All (ours): how far a figure has to go before it is worth a sentence.
_RISING_EPOCHS = 3
_GROWN = 2.0  # times the first epoch's training loss
_VANISHED = 1e-7  # of the norm of all gradients
_MIN_EPOCHS = 3  # before a class that is never predicted is named
_NAMED = 3


@dataclass(frozen=True)
class Seen:
    """A training after an epoch: the figures of all epochs, the classes of validation photos that no photo was given,
    and the norm of the gradients of the epoch's last batch."""

    history: Sequence[Mapping[str, float]]
    never_predicted: Sequence[str]
    gradient_norm: float


def remarks(seen: Seen) -> dict[str, str]:
    """A sentence for each thing that is wrong, by a name that stays the same from epoch to epoch."""
    found = {name: remark(seen) for name, remark in _REMARKS.items()}
    return {name: sentence for name, sentence in found.items() if sentence}


def _vanished(seen: Seen) -> str:
    if seen.gradient_norm >= _VANISHED:
        return ""
    return (
        f"The gradients have vanished (norm {seen.gradient_norm:.1g}): nothing is learnt any more. "
        "Another 'learning-rate', or pretrained weights, may help."
    )


def _diverging(seen: Seen) -> str:
    first, last = seen.history[0]["train_loss"], seen.history[-1]["train_loss"]
    if len(seen.history) < 2 or last <= _GROWN * first:
        return ""
    return f"The training loss has grown from {first:.3f} to {last:.3f}: a smaller 'learning-rate' may help."


def _by_heart(seen: Seen) -> str:
    """Validation that gets worse while training gets better."""
    last = seen.history[-_RISING_EPOCHS - 1 :]
    if len(last) <= _RISING_EPOCHS:
        return ""
    steps = list(itertools.pairwise(last))
    rises = all(after["valid_loss"] > before["valid_loss"] for before, after in steps)
    falls = all(after["train_loss"] < before["train_loss"] for before, after in steps)
    if not (rises and falls and last[-1]["valid_loss"] > _GROWN * last[-1]["train_loss"]):
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

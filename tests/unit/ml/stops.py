"""Functions for the argument `stop` of a training, which says whether the training must stop."""


def never() -> bool:
    """The training never stops early."""
    return False


class StopAfter:
    """The training must stop after this number of calls; it calls once for each batch."""

    def __init__(self, calls: int) -> None:
        self.left = calls

    def __call__(self) -> bool:
        self.left -= 1
        return self.left < 0

"""Answers to a training's question whether it must stop."""


def never() -> bool:
    """Never."""
    return False


class StopAfter:
    """Asked at every batch: True after `asked` of them."""

    def __init__(self, asked: int) -> None:
        self.left = asked

    def __call__(self) -> bool:
        self.left -= 1
        return self.left < 0

"""The one exception that ends a command of infra: a sentence, and what to do next."""


class StepFailed(Exception):
    """A step cannot be done. `reason` says why in a sentence, `next_step` what the reader can do about it, and
    `evidence` are lines that show it, such as the end of a log."""

    def __init__(self, reason: str, next_step: str, evidence: tuple[str, ...] = ()) -> None:
        super().__init__(reason)
        self.reason = reason
        self.next_step = next_step
        self.evidence = evidence

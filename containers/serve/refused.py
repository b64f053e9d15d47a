"""The one exception that a request's handling raises on purpose: what the caller is told."""


class Refused(Exception):
    """`status` is the HTTP status, `message` one clear sentence, `retry_after_s` for a 503."""

    def __init__(self, status: int, message: str, retry_after_s: int | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.message = message
        self.retry_after_s = retry_after_s

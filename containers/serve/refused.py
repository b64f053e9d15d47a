"""The exception that refuses a request with a status and a sentence for the caller."""

_QUOTED_CHARACTERS = 100


class Refused(Exception):
    """A request is refused with an HTTP status and one clear sentence; `retry_after_s` is for a 503."""

    def __init__(self, status: int, message: str, retry_after_s: int | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.message = message
        self.retry_after_s = retry_after_s


def quoted(text: str) -> str:
    """A caller's text for a sentence: in quotation marks, and cut after 100 characters, so that no header is echoed."""
    return repr(text) if len(text) <= _QUOTED_CHARACTERS else f"{text[:_QUOTED_CHARACTERS]!r}..."

"""uvicorn's HTTP protocol with a bound on what comes before a body: its fast parser has none."""

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from containers.serve.settings import MAX_HEADER_BYTES


class BoundedProtocol(HttpToolsProtocol):
    """Answers 400 and closes when the request line and headers are larger than MAX_HEADER_BYTES."""

    _head_bytes: int | None = None  # received of a head that has not ended; None outside of one

    def data_received(self, data: bytes) -> None:
        """A head's first piece is not counted: the end of another request may be in it."""
        if self._head_bytes is not None:
            self._head_bytes += len(data)
        super().data_received(data)
        if self._head_bytes is not None and self._head_bytes > MAX_HEADER_BYTES:
            self.send_400_response(f"The headers are larger than {MAX_HEADER_BYTES:,} bytes.")

    def on_message_begin(self) -> None:
        """The parser's: a request begins."""
        self._head_bytes = 0
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        """The parser's: the head has ended."""
        self._head_bytes = None
        super().on_headers_complete()

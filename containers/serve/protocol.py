"""uvicorn's HTTP protocol with a bound on the size of the request line and headers, which its fast parser lacks."""

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from containers.serve.settings import MAX_HEADER_BYTES


class BoundedProtocol(HttpToolsProtocol):
    """Answers 400 and closes the connection when request line and headers are larger than MAX_HEADER_BYTES."""

    _head_bytes: int | None = None  # received so far of the request line and headers; None outside of them

    def data_received(self, data: bytes) -> None:
        """Called by uvicorn with each piece of data. The first piece of a head is not counted, because it may also hold
        the end of the request before."""
        if self._head_bytes is not None:
            self._head_bytes += len(data)
        super().data_received(data)
        if self._head_bytes is not None and self._head_bytes > MAX_HEADER_BYTES:
            self.send_400_response(f"The headers are larger than {MAX_HEADER_BYTES:,} bytes.")

    def on_message_begin(self) -> None:
        """Called by the parser when a request begins."""
        self._head_bytes = 0
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        """Called by the parser after the last header."""
        self._head_bytes = None
        super().on_headers_complete()

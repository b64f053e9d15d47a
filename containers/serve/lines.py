"""An answer that is sent line by line, while the rest of it is still computed.

uvicorn sends it in chunks, and each send waits for a client that does not read. A caller knows that the answer is whole
by its last, empty chunk: an answer that cannot be finished ends with the connection, without that chunk.
"""

import logging
from collections.abc import AsyncGenerator
from contextlib import aclosing

from fastapi import Request, Response
from starlette.types import Receive, Scope, Send

from containers.serve.refused import Refused

_LOG = logging.getLogger("serve")


class LinesResponse(Response):
    """Sends `first`, which is there already, and then each text of `rest`. Closes `rest` when the client goes away."""

    def __init__(self, first: str, rest: AsyncGenerator[str], media: str) -> None:
        super().__init__(headers={"content-type": media})
        del self.headers["content-length"]
        self._first = first
        self._rest = rest

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Called by Starlette. A Refused that `rest` raises breaks the answer off; the log has its sentence."""
        request = Request(scope, receive)
        async with aclosing(self._rest):
            await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
            await send(_part(self._first))
            try:
                async for text in self._rest:
                    if await request.is_disconnected():
                        return
                    await send(_part(text))
            except Refused as error:
                _LOG.info("broke an answer off: %s", error.message)
                return
            await send({"type": "http.response.body"})


def _part(text: str) -> dict[str, object]:
    return {"type": "http.response.body", "body": text.encode(), "more_body": True}

"""The cost of HTTP alone: a bare application on uvicorn that reads the body and answers 133 numbers.

`python empty.py <port>`.
"""

import json
import sys
from typing import Any

import uvicorn

_BODY = json.dumps([[-1.234567] * 133]).encode()
_HEADERS = [(b"content-type", b"application/json"), (b"content-length", str(len(_BODY)).encode())]


async def app(_scope: Any, receive: Any, send: Any) -> None:
    """Called by uvicorn for each request."""
    while (await receive()).get("more_body"):
        pass
    await send({"type": "http.response.start", "status": 200, "headers": _HEADERS})
    await send({"type": "http.response.body", "body": _BODY})


if __name__ == "__main__":
    uvicorn.run(app, port=int(sys.argv[1]), lifespan="off", log_level="warning")

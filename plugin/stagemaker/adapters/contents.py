"""What LocalStack reads of a request's body and what browsers make of a response's: neither is theirs to choose."""

import gzip
from collections.abc import Callable
from typing import IO, Any, cast

from localstack.aws.api import RequestContext

from stagemaker.adapters.errors import exception
from stagemaker.api.body_limits import DOCUMENT_BYTES, TOO_LARGE
from stagemaker.core.errors import ApiError

SENT = "stagemaker.sent"  # in the environment of a WSGI request: its head as it came, and what has read its body


def read_whole(read: Callable[[int], bytes], limit_bytes: int) -> bytes:
    """All that is left. RequestEntityTooLargeException (413) when that is more than `limit_bytes`."""
    content = read(limit_bytes + 1)
    if len(content) > limit_bytes:
        raise exception(ApiError(TOO_LARGE, f"The request must not be longer than {limit_bytes} bytes.", 413))
    return content


class _Inflated(gzip.GzipFile):
    """The content of a compressed body."""

    def read(self, size: int | None = -1) -> bytes:
        """`size` bytes, or all that are left."""
        if size is not None and size >= 0:
            return super().read(size)
        return read_whole(super().read, DOCUMENT_BYTES)


def inflate(context: RequestContext) -> None:
    """Have a compressed body read as what it contains, up to the limit of a body. S3 decodes for itself."""
    request, service = context.request, context.service
    if service is not None and service.service_name == "s3":
        return
    if request.content_encoding and request.content_encoding.lower() == "gzip":
        request.stream = cast(IO[bytes], _Inflated(fileobj=request.stream))
        request.headers["Content-Encoding"] = "identity"


def isolate_objects(chain: Any, context: RequestContext, response: Any) -> None:  # noqa: ARG001 - as it is called
    """Have browsers take an object of S3 for a page without rights: it has the origin of the whole gateway. A website
    has a host of its own, and its scripts run."""
    if context.service is not None and context.service.service_name == "s3":
        response.headers["X-Content-Type-Options"] = "nosniff"
        if ".s3-website." not in context.request.host:
            response.headers["Content-Security-Policy"] = "sandbox"

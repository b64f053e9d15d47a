"""Passes one request of the front on to the registry service, and its answer back, a piece at a time."""

import http.client
from http.server import BaseHTTPRequestHandler
from urllib.parse import urlencode

from stagemaker.core.errors import ApiError
from stagemaker.core.refs import Ref
from stagemaker.registry.catalog import Catalog, repository_ref
from stagemaker.registry.errors import registry_down
from stagemaker.registry.front_body import PIECE_BYTES, StreamedBody
from stagemaker.registry.front_route import Route

_SENT = ("Content-Type", "Content-Range", "Range", "Accept", "If-None-Match")
_NOT_RETURNED = {"connection", "keep-alive", "transfer-encoding", "date", "server", "location"}


def pass_on(handler: BaseHTTPRequestHandler, body: StreamedBody, catalog: Catalog, ref: Ref, asked: Route) -> None:
    """Blobs and uploads. Raises ServerException when the service fails before it answers; when it fails later, the
    client's connection is cut, so that nothing cut short looks whole."""
    connection = catalog.backend.connect()
    try:
        response = _ask(connection, handler, body, _target(catalog, ref, asked))
        _give(handler, response, catalog.backend.path(ref), asked.repository)
        handler.close_connection = handler.close_connection or not body.is_read
    finally:
        connection.close()


def _target(catalog: Catalog, ref: Ref, asked: Route) -> str:
    tail = {"blob": f"blobs/{asked.reference}", "upload": f"blobs/uploads/{asked.reference}"}
    query = dict(asked.query)
    if "from" in query:
        try:  # a blob of another repository of the caller's; when there is none, it is an ordinary upload
            other = repository_ref(ref.scope, query["from"])
            catalog.repository(other)
            query["from"] = catalog.backend.path(other)[len("/v2/") : -1]
        except ApiError:
            query = {key: value for key, value in query.items() if key not in ("from", "mount")}
    path = catalog.backend.path(ref) + tail.get(asked.kind, "blobs/uploads/")
    return f"{path}?{urlencode(query)}" if query else path


def _ask(
    connection: http.client.HTTPConnection, handler: BaseHTTPRequestHandler, body: StreamedBody, target: str
) -> http.client.HTTPResponse:
    try:
        connection.putrequest(handler.command, target, skip_accept_encoding=True)
        for name in _SENT:
            if name in handler.headers:
                connection.putheader(name, handler.headers[name])
        in_chunks = body.length is None
        connection.putheader(*(("Transfer-Encoding", "chunked") if in_chunks else ("Content-Length", str(body.length))))
        connection.endheaders()
    except OSError as error:
        raise registry_down(error) from error
    for piece in body.pieces():
        try:
            connection.send(b"%x\r\n%b\r\n" % (len(piece), piece) if in_chunks else piece)
        except OSError:
            break  # it may have answered before it hung up
    try:
        if in_chunks and body.is_read:
            connection.send(b"0\r\n\r\n")
        return connection.getresponse()
    except (OSError, http.client.HTTPException) as error:
        raise registry_down(error) from error


def _give(handler: BaseHTTPRequestHandler, response: http.client.HTTPResponse, inner: str, repository: str) -> None:
    length = response.getheader("Content-Length")
    if length is None and handler.command != "HEAD" and response.status not in (204, 304):
        handler.close_connection = True  # the end of the connection is the end of the answer
    handler.send_response(response.status)
    for name, value in response.getheaders():
        if name.lower() not in _NOT_RETURNED:
            handler.send_header(name, value)
    location = response.getheader("Location")
    if location is not None:
        handler.send_header("Location", location.replace(inner, f"/v2/{repository}/", 1))
    if handler.close_connection:
        handler.send_header("Connection", "close")
    handler.end_headers()
    if handler.command == "HEAD":
        return
    left, buffer = int(length or 0), memoryview(bytearray(PIECE_BYTES))
    try:
        while size := response.readinto(buffer):
            handler.wfile.write(buffer[:size])
            left -= size
    except http.client.HTTPException:
        handler.close_connection = True
    if length is not None and left:
        handler.close_connection = True

"""The registry as Docker sees it: authorization, repositories and tags are checked here, bytes come from the service.

It speaks the OCI distribution specification on the port of the repositoryUri, and passes blobs on, socket to socket, to
the registry service, which it alone reaches. Manifests pass through the catalog, which knows what each repository has.
"""

import base64
import json
from dataclasses import replace
from typing import Any

from stagemaker.api.callers import callers
from stagemaker.api.http_head import make_head
from stagemaker.core.errors import ApiError
from stagemaker.core.refs import Ref, Scope
from stagemaker.core.request_server import Limits, RequestHandler, RequestServer
from stagemaker.core.store import Record
from stagemaker.core.supervisor import Supervisor
from stagemaker.registry.catalog import Catalog, image, image_tags, repository_ref
from stagemaker.registry.errors import image_missing
from stagemaker.registry.front_body import ClientGone, StreamedBody
from stagemaker.registry.front_relay import pass_on
from stagemaker.registry.front_route import RequestRefused, Route, route, tags_page
from stagemaker.registry.manifest_plan import DIGEST, MAX_MANIFEST_BYTES
from stagemaker.registry.rights import MOUNT, Rights, actions_of
from stagemaker.registry.tokens import USER, TokenRefused, Tokens

# By the names of loopback, and by the registry's own of AWS, which lead here on an EC2 instance's host; no web page.
_CALLERS = callers(("amazonaws.com", "amazonaws.com.cn"), ())
_ERRORS = {
    "RepositoryNotFoundException": (404, "NAME_UNKNOWN"),
    "ImageNotFoundException": (404, "MANIFEST_UNKNOWN"),
    "ImageTagAlreadyExistsException": (400, "TAG_INVALID"),
    "ImageDigestDoesNotMatchException": (400, "DIGEST_INVALID"),
    "LayersNotFoundException": (404, "MANIFEST_BLOB_UNKNOWN"),
    "ReferencedImagesNotFoundException": (404, "MANIFEST_BLOB_UNKNOWN"),
    "InvalidParameterException": (400, "MANIFEST_INVALID"),
    "ServerException": (503, "UNAVAILABLE"),
}


class RegistryFront:
    """Serves from the moment it is made, until `supervisor` closes it. OSError: the port is taken."""

    def __init__(
        self,
        address: tuple[str, int],
        catalog: Catalog,
        tokens: Tokens,
        supervisor: Supervisor,
        rights: Rights,
        limits: Limits | None = None,
    ) -> None:
        self._server = _FrontServer(address, _FrontHandler, limits)
        self._server.catalog, self._server.tokens, self._server.rights = catalog, tokens, rights
        self._server.start(supervisor, "registry front")
        supervisor.own(self._server.close)

    @property
    def port(self) -> int:
        """On which it listens."""
        return int(self._server.server_address[1])


class _FrontServer(RequestServer):
    catalog: Catalog
    tokens: Tokens
    rights: Rights


class _FrontHandler(RequestHandler):
    server: _FrontServer
    _body: StreamedBody | None = None

    def do_GET(self) -> None:
        """Answer one request, whatever its method."""
        self._body = None
        try:
            self._body = body = StreamedBody(self.rfile, self.headers, self._continue)
            self._refuse_web_pages()
            scope, holder = self._caller()
            self._answer(scope, self._allowed(scope, holder, route(self.command, self.path)), body)
            if not body.is_read:
                self.linger()
        except RequestRefused as refused:
            self._refuse(refused)
        except ApiError as error:
            self._refuse(_refused(error))
        except (ClientGone, OSError):
            self.close_connection = True

    do_HEAD = do_POST = do_PUT = do_PATCH = do_DELETE = do_GET

    def handle_expect_100(self) -> bool:
        """Not yet: StreamedBody says so once the request is taken."""
        return True

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - as the original
        """Docker tells its user."""

    def send_error(self, code: int, message: str | None = None, explain: str | None = None) -> None:  # noqa: ARG002
        """What the base class refuses, such as headers that are too long."""
        self.close_connection = True
        self.send_json(int(code), {"errors": [{"code": "UNSUPPORTED", "message": message or "Bad request"}]})

    def send_json(self, status: int, content: Any, headers: dict[str, str] | None = None, reason: str = "") -> None:
        """A small answer."""
        kind = {"Content-Type": "application/json"}
        self.send_whole(status, json.dumps(content).encode(), kind | (headers or {}), reason)

    def send_whole(self, status: int, body: bytes, headers: dict[str, str], reason: str = "") -> None:
        """An answer that is at hand."""
        self.send_response(status, reason or None)
        self.send_header("Docker-Distribution-Api-Version", "registry/2.0")
        for name, value in {**headers, "Content-Length": str(len(body))}.items():
            self.send_header(name, value)
        if self.close_connection:
            self.send_header("Connection", "close")
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def _continue(self) -> None:
        if self.headers.get("Expect", "").lower() == "100-continue":
            self.send_response_only(100)
            self.end_headers()

    def _refuse_web_pages(self) -> None:
        """Raise RequestRefused for a request of a browser, and for one under a name that is not the registry's."""
        address = str(self.connection.getsockname()[0])
        if refusal := _CALLERS.refusal(make_head(self.command, self.path, self.headers.items(), address)):
            raise RequestRefused(refusal.status, "DENIED", refusal.message)

    def _caller(self) -> tuple[Scope, str]:
        """Whose registry the password opens, and the holder of it."""
        scheme, _, value = self.headers.get("Authorization", "").partition(" ")
        try:
            user, _, password = base64.b64decode(value, validate=True).decode().partition(":")
            if scheme.lower() != "basic" or user != USER:
                raise TokenRefused(expired=False)
            return self.server.tokens.read(password)
        except TokenRefused as refused:
            if refused.expired:
                message = "Your authorization token has expired. Reauthenticate and try again."
                raise RequestRefused(403, "DENIED", message) from None
        except ValueError:
            pass
        raise RequestRefused(401, "UNAUTHORIZED", "Log in with the user AWS and the password of GetAuthorizationToken.")

    def _allowed(self, scope: Scope, holder: str, asked: Route) -> Route:
        """The request, without a mount of what its holder may not read. RequestRefused where it may not do it at all,
        in the words of AWS."""
        if asked.kind == "base":
            return asked
        rights = self.server.rights
        try:
            rights.check(holder, actions_of(asked.kind, self.command), repository_ref(scope, asked.repository))
        except ApiError as error:
            raise RequestRefused(403, "DENIED", error.message) from error
        try:
            if "from" in asked.query:
                rights.check(holder, MOUNT, repository_ref(scope, asked.query["from"]))
        except ApiError:
            query = {key: value for key, value in asked.query.items() if key not in ("from", "mount")}
            return replace(asked, query=query)
        return asked

    def _answer(self, scope: Scope, asked: Route, body: StreamedBody) -> None:
        catalog = self.server.catalog
        if asked.kind == "base":
            catalog.backend.check()  # here `docker login` learns at once what a push would try again for a minute
            self.send_json(200, {})
            return
        ref = repository_ref(scope, asked.repository)
        record = catalog.repository(ref)
        if asked.kind == "tags":
            tags, link = tags_page(asked, image_tags(record))
            self.send_json(200, {"name": asked.repository, "tags": tags}, link)
        elif asked.kind == "manifest" and self.command == "PUT":
            self._put_manifest(ref, asked, body.whole(MAX_MANIFEST_BYTES))
        elif asked.kind == "manifest":
            self._get_manifest(ref, asked, record)
        else:
            pass_on(self, body, catalog, ref, asked)

    def _put_manifest(self, ref: Ref, asked: Route, body: bytes) -> None:
        by_digest = DIGEST.fullmatch(asked.reference) is not None
        tag, digest = (None, asked.reference) if by_digest else (asked.reference, None)
        kind = self.headers.get("Content-Type")
        manifest = self.server.catalog.push(ref, body, kind, tag, digest=digest)
        location = f"/v2/{asked.repository}/manifests/{manifest.digest}"
        self.send_whole(201, b"", {"Location": location, "Docker-Content-Digest": manifest.digest})

    def _get_manifest(self, ref: Ref, asked: Route, record: Record) -> None:
        digest = image_tags(record).get(asked.reference, asked.reference)
        found = image(record, digest)
        body = self.server.catalog.manifest(ref, digest) if found else None
        if found is None or body is None:
            named = (digest, None) if DIGEST.fullmatch(digest) else (None, digest)
            raise image_missing(ref, *named)
        headers = {"Content-Type": found.media_type, "Docker-Content-Digest": digest, "ETag": f'"{digest}"'}
        self.send_whole(200, body, headers)

    def _refuse(self, refused: RequestRefused) -> None:
        """Docker shows the reason phrase of a 5xx, and of a 4xx the message."""
        unread = self._body is None or not self._body.is_read
        self.close_connection = self.close_connection or unread
        reason = refused.message.replace("\n", " ") if refused.status >= 500 else ""
        challenge = {"WWW-Authenticate": 'Basic realm="ECR"'} if refused.status == 401 else {}
        errors = [{"code": refused.code, "message": refused.message}]
        try:
            self.send_json(refused.status, {"errors": errors}, challenge, reason)
            if unread:
                self.linger()
        except OSError:
            self.close_connection = True


def _refused(error: ApiError) -> RequestRefused:
    status, code = _ERRORS.get(error.code, (error.status, "UNKNOWN"))
    return RequestRefused(status, code, error.message)

"""The registry service (registry:2), as nobody but us reaches it: it knows neither accounts nor tags.

Every repository lies under `<account>/<region>/` there, and every manifest under its digest: which images a repository
has, and what their tags are, our records say. Protocol: the OCI distribution specification.
"""

import http.client
import json
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import urlsplit

from stagemaker.core.errors import ApiError
from stagemaker.core.refs import Ref
from stagemaker.registry.errors import registry_down
from stagemaker.registry.manifest_plan import IMAGE_TYPES, INDEX_TYPES

TIMEOUT_S = 300.0  # the service reads a layer of some GB once more before it answers
_ACCEPT = ", ".join(sorted(IMAGE_TYPES | INDEX_TYPES))


@dataclass(frozen=True)
class BackendResponse:
    """Of the service, read whole: only for what is small."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    def code(self) -> str:
        """The protocol's error code, or the empty string."""
        try:
            return str(json.loads(self.body)["errors"][0]["code"])
        except (ValueError, LookupError, TypeError):
            return ""


class Backend:
    """Thread-safe: each call has a connection of its own. Raises ServerException when the service does not answer."""

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        if parts.scheme != "http" or not parts.hostname:
            raise ValueError(f"STAGEMAKER_REGISTRY_URL must be http://<host>:<port> (it is {url}).")
        self._host, self._port = parts.hostname, parts.port or 80

    def connect(self) -> http.client.HTTPConnection:
        """A connection for the front to stream through; its caller closes it."""
        return http.client.HTTPConnection(self._host, self._port, timeout=TIMEOUT_S)

    @staticmethod
    def path(ref: Ref) -> str:
        """Of the repository in the service, such as `/v2/000000000000/eu-west-1/dogs/`."""
        return f"/v2/{ref.scope.account}/{ref.scope.region}/{ref.name}/"

    def check(self) -> None:
        """Raise ServerException unless the service answers."""
        status = self._ask("GET", "/v2/").status
        if status != 200:
            raise registry_down(f"HTTP {status}")

    def put_manifest(self, ref: Ref, digest: str, media_type: str, body: bytes) -> None:
        """Raises LayersNotFoundException when a blob that it names was not pushed."""
        answer = self._ask("PUT", f"{self.path(ref)}manifests/{digest}", body, media_type)
        if answer.code() in ("MANIFEST_BLOB_UNKNOWN", "BLOB_UNKNOWN"):
            raise ApiError(
                "LayersNotFoundException",
                f"The specified layers could not be found, or the specified layer is not valid for this repository: "
                f"{ref.name}",
            )
        if 400 <= answer.status < 500:
            raise ApiError("InvalidParameterException", f"The registry refuses the image manifest ({answer.code()}).")
        if answer.status != 201:
            raise registry_down(f"HTTP {answer.status}")

    def manifest(self, ref: Ref, digest: str) -> bytes:
        """As it was pushed. Raises ServerException when the service has lost it."""
        answer = self._ask("GET", f"{self.path(ref)}manifests/{digest}")
        if answer.status != 200:
            raise registry_down(f"HTTP {answer.status} for the manifest {digest}")
        return answer.body

    def delete_manifest(self, ref: Ref, digest: str) -> None:
        """No error when it is not there. The layers' space is freed by the service's own garbage collection only."""
        answer = self._ask("DELETE", f"{self.path(ref)}manifests/{digest}")
        if answer.status not in (202, 404):
            raise registry_down(f"HTTP {answer.status}")

    def blob_size(self, ref: Ref, digest: str) -> int | None:
        """In bytes, or None when the repository has no such blob."""
        answer = self._ask("HEAD", f"{self.path(ref)}blobs/{digest}")
        if answer.status not in (200, 404):
            raise registry_down(f"HTTP {answer.status}")
        return int(answer.headers["Content-Length"]) if answer.status == 200 else None

    def _ask(self, method: str, path: str, body: bytes | None = None, content_type: str = "") -> BackendResponse:
        connection = self.connect()
        headers = {"Accept": _ACCEPT} | ({"Content-Type": content_type} if content_type else {})
        try:
            connection.request(method, path, body, headers)
            response = connection.getresponse()
            return BackendResponse(response.status, dict(response.getheaders()), response.read())
        except (OSError, http.client.HTTPException) as error:
            raise registry_down(error) from error
        finally:
            connection.close()

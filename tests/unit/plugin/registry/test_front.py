"""The front over a small registry: who is let through, where to, and what is told when it breaks."""

import base64
import http.client
import json
import socket
import time
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from typing import Any

import pytest

from stagemaker.core.request_server import Limits
from stagemaker.registry.front import RegistryFront
from stagemaker.registry.rights import ALL_RIGHTS, THE_STAGE
from tests.unit.plugin.fakes import SCOPE
from tests.unit.plugin.registry.ecr_environment import OCI, EcrEnvironment, manifest

INNER = f"/v2/{SCOPE.account}/{SCOPE.region}/dogs"


class Front:
    """A client of it."""

    def __init__(self, port: int, password: str) -> None:
        self.port, self.password = port, password
        self.connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)

    def ask(self, method: str, path: str, body: Any = None, **headers: str) -> tuple[int, dict[str, str], bytes]:
        basic = base64.b64encode(f"AWS:{self.password}".encode()).decode()
        headers = {"Authorization": f"Basic {basic}"} | {key.replace("_", "-"): value for key, value in headers.items()}
        self.connection.request(method, path, body, headers)
        answer = self.connection.getresponse()
        return answer.status, dict(answer.headers), answer.read()

    def error(self, method: str, path: str, body: Any = None, **headers: str) -> tuple[int, str]:
        status, _, content = self.ask(method, path, body, **headers)
        return status, json.loads(content)["errors"][0]["code"]


@pytest.fixture
def front(environment: EcrEnvironment) -> Iterator[Front]:
    assert environment.ecr.front
    made = Front(environment.ecr.front.port, environment.ecr.tokens.issue(SCOPE, THE_STAGE)[0])
    yield made
    made.connection.close()


def test_only_a_token_opens_it(environment: EcrEnvironment, front: Front) -> None:
    assert front.ask("GET", "/v2/")[0] == 200
    for header in ("", "Basic", "Basic !", "Bearer x", "Basic " + base64.b64encode(b"root:x").decode()):
        status, headers, _ = front.ask("GET", "/v2/", Authorization=header)
        assert (status, headers["WWW-Authenticate"]) == (401, 'Basic realm="ECR"')
    environment.now += 13 * 3600
    assert front.error("GET", "/v2/") == (403, "DENIED")


@pytest.mark.parametrize(
    "headers",
    [{"Host": "evil.example"}, {"Origin": "http://evil.example"}, {"Origin": "null"}, {"Sec_Fetch_Site": "cross-site"}],
)
def test_no_web_page_comes_in_even_with_a_token(front: Front, headers: dict[str, str]) -> None:
    assert front.error("GET", "/v2/", **headers) == (403, "DENIED")
    assert front.error("POST", "/v2/dogs/blobs/uploads/", **headers) == (403, "DENIED")
    assert front.ask("GET", "/v2/", Host="localhost:5000")[0] == 200


def test_a_push_and_a_pull(environment: EcrEnvironment, front: Front) -> None:
    status, headers, _ = front.ask("POST", "/v2/dogs/blobs/uploads/")
    assert (status, headers["Location"]) == (202, "/v2/dogs/blobs/uploads/upload-1?_state=a%2Fb")
    data = bytes(3_000_000)
    parts = (data[start : start + 100_000] for start in range(0, len(data), 100_000))
    status, headers, _ = front.ask("PUT", headers["Location"], parts)
    assert status == 201
    blob = headers["Location"].replace(INNER, "/v2/dogs")
    assert blob.startswith("/v2/dogs/blobs/sha256:")
    assert front.ask("GET", blob)[2] == data
    assert front.ask("HEAD", blob)[1]["Content-Length"] == str(len(data))
    assert front.ask("PUT", "/v2/dogs/manifests/v1", manifest(1), Content_Type=OCI)[0] == 201
    status, headers, content = front.ask("GET", "/v2/dogs/manifests/v1")
    assert (status, headers["Content-Type"], content) == (200, OCI, manifest(1).encode())
    by_digest = front.ask("GET", f"/v2/dogs/manifests/{headers['Docker-Content-Digest']}")
    assert by_digest[2] == content
    assert json.loads(front.ask("GET", "/v2/dogs/tags/list")[2]) == {"name": "dogs", "tags": ["v1"]}
    assert environment.service
    assert all(line.split()[1].startswith(INNER) for line in environment.service.asked)


def test_a_mount_names_the_other_repository_as_the_service_knows_it(environment: EcrEnvironment, front: Front) -> None:
    digest = "sha256:" + "0" * 64
    environment.call("create_repository", repositoryName="cats/two")
    front.ask("POST", f"/v2/dogs/blobs/uploads/?mount={digest}&from=cats/two")
    front.ask("POST", f"/v2/dogs/blobs/uploads/?mount={digest}&from=nobody")
    assert environment.service
    inner = f"{SCOPE.account}%2F{SCOPE.region}%2Fcats%2Ftwo"
    assert environment.service.asked == [
        f"POST {INNER}/blobs/uploads/?mount={digest.replace(':', '%3A')}&from={inner}",
        f"POST {INNER}/blobs/uploads/",
    ]


def test_refusals(environment: EcrEnvironment, front: Front) -> None:
    assert front.error("GET", "/v2/cats/tags/list") == (404, "NAME_UNKNOWN")
    assert front.error("POST", "/v2/cats/blobs/uploads/", b"x" * 100_000) == (404, "NAME_UNKNOWN")
    assert front.error("GET", "/v2/dogs/manifests/v1") == (404, "MANIFEST_UNKNOWN")
    assert front.error("PUT", "/v2/dogs/manifests/v1", "{}") == (400, "MANIFEST_INVALID")
    assert front.error("PUT", f"/v2/dogs/manifests/sha256:{'0' * 64}", manifest(1)) == (400, "DIGEST_INVALID")
    assert front.error("DELETE", "/v2/dogs/manifests/v1") == (405, "UNSUPPORTED")
    environment.call("put_image_tag_mutability", repositoryName="dogs", imageTagMutability="IMMUTABLE")
    environment.put(manifest(1), "v1")
    assert front.error("PUT", "/v2/dogs/manifests/v1", manifest(2)) == (400, "TAG_INVALID")
    assert front.ask("PUT", "/v2/dogs/manifests/v1", manifest(1))[0] == 201  # nothing would change


def test_tags_come_in_pages(environment: EcrEnvironment, front: Front) -> None:
    for tag in ("c", "a", "b"):
        environment.put(manifest(1), tag)
    path, found = "/v2/dogs/tags/list?n=2", list[list[str]]()
    while path:
        status, headers, content = front.ask("GET", path)
        found.append(json.loads(content)["tags"])
        path = headers.get("Link", "").removesuffix('>; rel="next"').removeprefix("<")
    assert (status, found) == (200, [["a", "b"], ["c"]])
    assert json.loads(front.ask("GET", "/v2/dogs/tags/list?n=0")[2])["tags"] == []
    assert json.loads(front.ask("GET", "/v2/dogs/tags/list?last=b")[2])["tags"] == ["c"]
    assert front.error("GET", "/v2/dogs/tags/list?n=-1") == (400, "PAGINATION_NUMBER_INVALID")


def test_a_manifest_has_a_greatest_size(front: Front) -> None:
    assert front.error("PUT", "/v2/dogs/manifests/v1", b" " * (4_194_304 + 1)) == (413, "SIZE_INVALID")


def test_a_client_that_waits_is_told_to_go_on(front: Front) -> None:
    with socket.create_connection(("127.0.0.1", front.port), timeout=10) as raw:
        basic = base64.b64encode(f"AWS:{front.password}".encode()).decode()
        text = manifest(1)
        head = f"PUT /v2/dogs/manifests/v1 HTTP/1.1\r\nHost: localhost\r\nAuthorization: Basic {basic}\r\n"
        raw.sendall(f"{head}Content-Length: {len(text)}\r\nExpect: 100-continue\r\n\r\n".encode())
        assert raw.recv(1000).startswith(b"HTTP/1.1 100 ")
        raw.sendall(text.encode())
        assert raw.recv(1000).startswith(b"HTTP/1.1 201 ")


@pytest.mark.parametrize(
    "head",
    [
        "GARBAGE\r\n\r\n",
        "GET /v2/ HTTP/1.1\r\n" + "X: y\r\n" * 200 + "\r\n",
        "GET /" + "a" * 70_000 + " HTTP/1.1\r\n\r\n",
    ],
)
def test_a_head_that_is_none_is_refused(front: Front, head: str) -> None:
    with socket.create_connection(("127.0.0.1", front.port), timeout=10) as raw:
        raw.sendall(head.encode())
        with raw.makefile("rb") as answer:
            assert b"UNSUPPORTED" in answer.read()


def test_a_service_that_hangs_up_is_told_in_words(environment: EcrEnvironment, front: Front) -> None:
    assert environment.service
    environment.service.breaks_after = 1000
    status, code = front.error("PATCH", "/v2/dogs/blobs/uploads/upload-1", bytes(8_000_000))
    assert (status, code) == (503, "UNAVAILABLE")


def test_a_service_that_is_down_is_told_at_login(environment: EcrEnvironment, front: Front) -> None:
    assert environment.service
    environment.service.shutdown()
    environment.service.server_close()
    assert front.error("GET", "/v2/") == (503, "UNAVAILABLE")


def test_idle_connections_do_not_close_the_door(environment: EcrEnvironment, front: Front) -> None:
    with ExitStack() as many:
        for _ in range(600):
            many.enter_context(socket.create_connection(("127.0.0.1", front.port), 10))
        started = time.monotonic()
        assert front.ask("GET", "/v2/")[0] == 200
        assert front.ask("PUT", "/v2/dogs/manifests/v1", manifest(1), Content_Type=OCI)[0] == 201
        assert front.ask("GET", "/v2/dogs/manifests/v1")[0] == 200
        assert time.monotonic() - started < 20  # with a place for each of them it took a minute


@pytest.mark.parametrize("path", ["manifests/v1", "blobs/uploads/upload-1"])
def test_a_body_that_drips_is_refused(environment: EcrEnvironment, path: str) -> None:
    ecr, limits = environment.ecr, Limits(pace_s=0.3, linger_s=0.1)
    slow = RegistryFront(("127.0.0.1", 0), ecr.catalog, ecr.tokens, environment.supervisor, ALL_RIGHTS, limits)
    basic = base64.b64encode(f"AWS:{ecr.tokens.issue(SCOPE, THE_STAGE)[0]}".encode()).decode()
    with socket.create_connection(("127.0.0.1", slow.port), 10) as raw:
        head = f"PUT /v2/dogs/{path} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Basic {basic}\r\n"
        raw.sendall(f"{head}Content-Length: 1000\r\n\r\n".encode())
        raw.settimeout(0.02)
        answer = b""
        for _ in range(1000):
            raw.send(b"x")
            try:
                answer = raw.recv(10_000)
                break
            except TimeoutError:
                pass
        raw.settimeout(10)
        with suppress(ConnectionError):  # it is closed though we may have sent more
            while more := raw.recv(10_000):
                answer += more
        assert answer.startswith(b"HTTP/1.1 408 ")
        assert b"The body of the request comes too slowly." in answer


def test_the_supervisor_s_end_cuts_connections(environment: EcrEnvironment, front: Front) -> None:
    kept = http.client.HTTPConnection("127.0.0.1", front.port, timeout=10)
    kept.request("GET", "/v2/")
    answer = kept.getresponse()
    assert (answer.status, len(answer.read()) > 0) == (401, True)
    raw = kept.sock
    environment.supervisor.close()
    with raw:
        assert raw.recv(1) == b""

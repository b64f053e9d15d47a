"""The endpoint for credentials, over HTTP on loopback."""

import http.client
import json
import re
import socket
import time
from collections.abc import Iterator
from contextlib import closing, suppress
from typing import Any

import pytest

from stagemaker.core.credentials import Credentials
from stagemaker.core.errors import validation_error
from stagemaker.core.supervisor import Supervisor
from stagemaker.runtime.docker.credentials import CredentialsEndpoint, device_of
from tests.unit.plugin.fakes import ROLE, FakeClock


class Role:
    """Issues numbered credentials, good for an hour."""

    def __init__(self, clock: FakeClock) -> None:
        self._clock, self.issued, self.gone = clock, 0, False

    def issue(self) -> Credentials:
        if self.gone:
            raise validation_error("Could not assume role.")
        self.issued += 1
        return Credentials(ROLE, f"LSIA{self.issued}", "secret", "token", self._clock() + 3600)


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def endpoint(clock: FakeClock) -> Iterator[CredentialsEndpoint]:
    supervisor = Supervisor()
    made = CredentialsEndpoint(address=("127.0.0.1", 0), clock=clock)
    made.start(supervisor, "credentials")
    yield made
    made.close()
    supervisor.close()
    assert supervisor.threads() == []


def ask(endpoint: CredentialsEndpoint, path: str) -> tuple[int, Any]:
    connection = http.client.HTTPConnection("127.0.0.1", endpoint.server_address[1], timeout=10)
    connection.request("GET", path)
    answer = connection.getresponse()
    body = json.loads(answer.read())
    connection.close()
    return answer.status, body


def test_the_role_s_credentials_in_the_form_of_aws(endpoint: CredentialsEndpoint, clock: FakeClock) -> None:
    path = endpoint.add(Role(clock).issue)
    assert re.fullmatch(r"/v2/credentials/[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", path)
    assert ask(endpoint, path) == (200, {
        "RoleArn": ROLE, "AccessKeyId": "LSIA1", "SecretAccessKey": "secret", "Token": "token",
        "Expiration": "2027-01-15T09:00:00Z",
    })  # fmt: skip


def test_they_are_replaced_before_they_end(endpoint: CredentialsEndpoint, clock: FakeClock) -> None:
    role = Role(clock)
    path = endpoint.add(role.issue)
    keys = []
    for minutes in (0, 29, 2, 12 * 60):
        clock.now += minutes * 60
        keys.append(ask(endpoint, path)[1]["AccessKeyId"])
    assert keys == ["LSIA1", "LSIA1", "LSIA2", "LSIA3"]


@pytest.mark.parametrize("path", ["/v2/credentials/0", "/v2/metadata", "/", "/v2/credentials/../credentials/x"])
def test_who_does_not_know_the_path_gets_nothing(endpoint: CredentialsEndpoint, clock: FakeClock, path: str) -> None:
    endpoint.add(Role(clock).issue)
    message = "CredentialsV2Request: Credentials not found"
    assert ask(endpoint, path) == (400, {"code": "InvalidIdInRequest", "message": message, "HTTPErrorCode": 400})


def test_an_id_is_needed(endpoint: CredentialsEndpoint) -> None:
    assert ask(endpoint, "/v2/credentials/")[1]["code"] == "NoIdInRequest"


def test_after_the_end_of_its_container_a_path_gives_nothing(endpoint: CredentialsEndpoint, clock: FakeClock) -> None:
    path = endpoint.add(Role(clock).issue)
    endpoint.remove(path)
    assert ask(endpoint, path)[0] == 400


def test_a_role_that_is_gone_says_so(endpoint: CredentialsEndpoint, clock: FakeClock) -> None:
    role = Role(clock)
    path = endpoint.add(role.issue)
    role.gone = True
    status, body = ask(endpoint, path)
    assert (status, body["message"]) == (500, "CredentialsV2Request: Could not assume role.")


def test_connections_that_say_nothing_are_closed(
    endpoint: CredentialsEndpoint, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(endpoint.RequestHandlerClass, "timeout", 0.3)
    address = ("127.0.0.1", endpoint.server_address[1])
    silent = [socket.create_connection(address, timeout=10) for _ in range(endpoint.most + 8)]
    for connection in silent:  # those above the limit at once
        with closing(connection), suppress(ConnectionResetError):
            assert connection.recv(1) == b""
    deadline = time.monotonic() + 10
    while endpoint.places() < endpoint.most:
        assert time.monotonic() < deadline
        time.sleep(0.02)
    assert ask(endpoint, "/")[0] == 400


def test_an_interface_is_found_by_its_address() -> None:
    assert device_of("127.0.0.1") == "lo"
    with pytest.raises(LookupError, match=r"192\.0\.2\.99"):
        device_of("192.0.2.99")


def test_a_secret_is_not_shown() -> None:
    shown = repr(Credentials(ROLE, "key", "hidden", "hidden", 0))
    assert "key" in shown
    assert "hidden" not in shown

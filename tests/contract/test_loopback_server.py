"""LocalStack on the addresses of GATEWAY_LISTEN, or not at all."""

import socket
from pathlib import Path

import pytest

from tests.contract.localstack_process import running_localstack


def test_a_port_that_is_taken_ends_it_with_a_sentence(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        told = f"LocalStack cannot listen on {address}: .*Address already in use"
        with pytest.raises(AssertionError, match=told), running_localstack(tmp_path, GATEWAY_LISTEN=address):
            pass


def test_another_server_ends_it_with_a_sentence(tmp_path: Path) -> None:
    told = "GATEWAY_SERVER must be loopback: LocalStack's own let every web page in."
    with pytest.raises(AssertionError, match=told), running_localstack(tmp_path, GATEWAY_SERVER="twisted"):
        pass

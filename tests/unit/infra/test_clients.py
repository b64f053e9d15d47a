from pathlib import Path

import boto3
import pytest

from infra.clients import connect, local_endpoint, make_client
from infra.errors import StepFailed


def test_the_default_is_localstacks_port_on_loopback() -> None:
    assert local_endpoint({}) == "http://127.0.0.1:4566"
    assert local_endpoint({"PORT": "4600"}) == "http://127.0.0.1:4600"


@pytest.mark.parametrize(
    "url", ["http://127.0.0.1:4566", "http://localhost:1", "http://[::1]:4566", "https://127.8.9.1"]
)
def test_addresses_of_this_machine(url: str) -> None:
    assert local_endpoint({"AWS_ENDPOINT_URL": url}) == url


@pytest.mark.parametrize(
    "url",
    [
        "https://sagemaker.us-east-1.amazonaws.com",
        "http://localhost.evil.example",
        "http://127.0.0.1@evil.example",
        "http://10.0.0.1:4566",
        "http://0.0.0.0:4566",
        "ftp://127.0.0.1",
        "127.0.0.1:4566",
    ],
)
def test_a_local_target_never_leaves_the_machine(url: str) -> None:
    with pytest.raises(StepFailed, match="not an address of this machine"):
        local_endpoint({"AWS_ENDPOINT_URL": url})


def test_aws_and_an_endpoint_contradict_each_other() -> None:
    with pytest.raises(StepFailed, match="AWS_ENDPOINT_URL is set"):
        connect("aws", "us-east-1", {"AWS_ENDPOINT_URL": "http://127.0.0.1:4566"})


def test_an_address_for_one_service_contradicts_aws_too() -> None:
    with pytest.raises(StepFailed, match="AWS_ENDPOINT_URL_S3 is set"):
        connect("aws", "us-east-1", {"AWS_ENDPOINT_URL_S3": "http://127.0.0.1:4566"})


def test_a_client_of_aws_goes_to_aws_and_is_patient(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "config").write_text("[default]\nendpoint_url = http://127.0.0.1:4566\n")
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "config"))
    client = make_client(boto3.Session(region_name="cn-north-1"), "sagemaker", None)
    assert client.meta.endpoint_url == "https://api.sagemaker.cn-north-1.amazonaws.com.cn"
    assert client.meta.config.retries == {"mode": "adaptive", "total_max_attempts": 10}


def test_a_local_client_has_the_fixed_credentials(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIAREAL")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "real")
    monkeypatch.setenv("AWS_SESSION_TOKEN", "real")
    client = make_client(boto3.Session(region_name="us-east-1"), "sagemaker", "http://127.0.0.1:4566")
    credentials = client._request_signer._credentials
    assert (credentials.access_key, credentials.secret_key, credentials.token) == ("test", "test", None)
    assert client.meta.endpoint_url == "http://127.0.0.1:4566"

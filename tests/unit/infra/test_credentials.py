"""What is said of credentials that cannot be used, by boto3 itself with real files. None of these asks the network."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from botocore import exceptions
from botocore.exceptions import ClientError

from infra.clients import connect
from infra.credentials import explain
from infra.errors import StepFailed

SSO = """
[profile work]
sso_session = ours
sso_account_id = 123456789012
sso_role_name = Deployer
[sso-session ours]
sso_region = us-east-1
sso_start_url = https://ours.awsapps.com/start
"""
Files = Callable[..., dict[str, str]]


@pytest.fixture
def files(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Files:
    """A home with these files of AWS and nothing in the environment but the profile; the environment."""

    def write(config: str = "", profile: str = "", keys: str = "") -> dict[str, str]:
        folder = tmp_path / ".aws"
        folder.mkdir()
        (folder / "config").write_text(config)
        (folder / "credentials").write_text(keys)
        for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AWS_PROFILE"):
            monkeypatch.delenv(name, raising=False)
        environ = {
            "HOME": str(tmp_path),
            "AWS_CONFIG_FILE": str(folder / "config"),
            "AWS_SHARED_CREDENTIALS_FILE": str(folder / "credentials"),
            "AWS_EC2_METADATA_DISABLED": "true",
        } | ({"AWS_PROFILE": profile} if profile else {})
        for name, value in environ.items():
            monkeypatch.setenv(name, value)
        return environ

    return write


def refused(environ: dict[str, str]) -> StepFailed:
    with pytest.raises(StepFailed) as caught:
        connect("aws", "us-east-1", environ)
    return caught.value


def test_none(files: Files) -> None:
    error = refused(files())
    assert error.reason == "No AWS credentials were found."
    assert "aws sso login, aws login, or aws configure" in error.next_step


def test_a_profile_that_is_not_there(files: Files) -> None:
    error = refused(files(profile="work"))
    assert "profile (work) could not be found" in error.reason
    assert "aws configure list-profiles" in error.next_step


def test_half_a_key(files: Files) -> None:
    error = refused(files(keys="[default]\naws_access_key_id = AKIAIOSFODNN7EXAMPLE\n"))
    assert "Partial credentials found" in error.reason
    assert "aws configure list" in error.next_step


def test_nobody_has_logged_in(files: Files) -> None:
    error = refused(files(SSO, "work"))
    assert error.next_step == "Log in again: aws sso login --profile work. Then run this again: it goes on."


def test_a_login_that_has_ended(files: Files, tmp_path: Path) -> None:
    environ = files(SSO, "work")
    cache = tmp_path / ".aws" / "sso" / "cache"
    cache.mkdir(parents=True)
    token = {"accessToken": "secret", "expiresAt": "2020-01-01T00:00:00Z", "region": "us-east-1"}
    # Its name is the SHA-1 of the session's.
    (cache / "6bb8aaefafa78e5e0cb6b5b1ffa0ed1ff0cd5a16.json").write_text(json.dumps(token))
    error = refused(environ)
    assert "aws sso login --profile work" in error.next_step
    assert "secret" not in error.reason


def test_a_role_whose_profile_has_no_keys(files: Files) -> None:
    error = refused(
        files("[profile work]\nrole_arn = arn:aws:iam::123456789012:role/r\nsource_profile = none\n", "work")
    )
    assert "none" in error.reason
    assert "aws configure list" in error.next_step


def test_a_program_that_gives_none(files: Files) -> None:
    error = refused(files("[profile work]\ncredential_process = false\n", "work"))
    assert "credential" in error.reason.lower()


def of_aws(code: str, message: str = "why", operation: str = "CreateModel") -> StepFailed | None:
    return explain(ClientError({"Error": {"Code": code, "Message": message}}, operation), {"AWS_PROFILE": "work"})


@pytest.mark.parametrize(
    ("code", "message", "operation", "next_step"),
    [
        ("ExpiredToken", "why", "PutObject", "aws sso login --profile work"),
        ("ExpiredTokenException", "why", "CreateModel", "it goes on"),
        ("InvalidClientTokenId", "why", "GetCallerIdentity", "is the region enabled"),
        ("UnrecognizedClientException", "why", "CreateModel", "aws sts get-caller-identity --profile work"),
        ("SignatureDoesNotMatch", "why", "GetRole", "partition"),
        ("SignatureDoesNotMatch", "Signature expired: 1 is now earlier than 2", "GetRole", "clock"),
        ("RequestTimeTooSkewed", "why", "PutObject", "clock"),
        ("AccessDenied", "why", "AssumeRole", "mfa_serial"),
    ],
)
def test_what_aws_refuses(code: str, message: str, operation: str, next_step: str) -> None:
    error = of_aws(code, message, operation)
    assert error is not None
    assert next_step in error.next_step


def test_what_is_not_about_credentials_is_left_to_others() -> None:
    assert of_aws("AccessDenied") is None
    assert explain(exceptions.ParamValidationError(report="no"), {}) is None
    local = exceptions.EndpointConnectionError(endpoint_url="http://127.0.0.1:4566")
    assert explain(local, {}) is None


def test_no_way_to_aws() -> None:
    error = explain(exceptions.EndpointConnectionError(endpoint_url="https://sts.us-east-9.amazonaws.com/"), {})
    assert error is not None
    assert "region's name" in error.next_step


@pytest.mark.parametrize(
    "error", [EOFError(), exceptions.RefreshWithMFAUnsupportedError(), exceptions.LoginRefreshRequired()]
)
def test_a_code_or_a_login_that_is_needed(error: Exception) -> None:
    found = explain(error, {})
    assert found is not None
    assert "Run this" in found.next_step or "aws login" in found.next_step

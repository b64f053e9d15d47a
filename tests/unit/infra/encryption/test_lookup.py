"""Which key a preset means, and what is said where it cannot be used."""

from typing import Any

import pytest
from botocore.exceptions import ClientError

from infra.encryption.lookup import find_key
from infra.encryption.settings import EncryptionSettings
from infra.errors import StepFailed
from tests.unit.infra.fakes import FakeClient, missing

ARN = "arn:aws:kms:us-east-1:123456789012:key/1234abcd-12ab-34cd-56ef-1234567890ab"
ALIAS = EncryptionSettings("alias/dogs")


def kms(**members: str) -> FakeClient:
    usable = {
        "Arn": ARN, "KeyState": "Enabled", "KeyManager": "CUSTOMER",
        "KeySpec": "SYMMETRIC_DEFAULT", "KeyUsage": "ENCRYPT_DECRYPT",
    }  # fmt: skip
    return FakeClient({"describe_key": {"KeyMetadata": {**usable, **members}}})


def test_an_alias_is_looked_up() -> None:
    client = kms()
    assert find_key(client, ALIAS, "us-east-1") == ARN
    assert client.calls == [("describe_key", {"KeyId": "alias/dogs"})]


@pytest.mark.parametrize(
    ("client", "reason", "next_step"),
    [
        (
            FakeClient({"describe_key": missing("NotFoundException")}),
            "no KMS key alias/dogs in us-east-1",
            "create-key",
        ),
        (FakeClient({"describe_key": missing("InvalidArnException")}), "no KMS key alias/dogs", "create-alias"),
        (FakeClient({"describe_key": missing("AccessDeniedException")}), "You may not look up", "ROLE=deployer"),
        (kms(Arn=ARN.replace("us-east-1", "eu-west-1")), "is not in us-east-1", "Name another"),
        (kms(KeyUsage="SIGN_VERIFY", KeySpec="RSA_2048"), "is for SIGN_VERIFY .RSA_2048.", "Name another"),
        (kms(KeyUsage="GENERATE_VERIFY_MAC", KeySpec="HMAC_256"), "is for GENERATE_VERIFY_MAC", "Name another"),
        (kms(KeyManager="AWS"), "is AWS's own", "Name another"),
        (kms(KeyState="Disabled"), "is Disabled", f"aws kms enable-key --key-id {ARN}. Or: Name another"),
        (kms(KeyState="PendingDeletion"), "is PendingDeletion", f"aws kms cancel-key-deletion --key-id {ARN} && "),
        (kms(KeyState="PendingImport"), "is PendingImport", "Name another"),
    ],
)
def test_a_key_that_cannot_be_used(client: Any, reason: str, next_step: str) -> None:
    with pytest.raises(StepFailed, match=reason) as caught:
        find_key(client, ALIAS, "us-east-1")
    assert next_step in caught.value.next_step


def test_another_error_stays_what_it_is() -> None:
    with pytest.raises(ClientError, match="KMSInternalException"):
        find_key(FakeClient({"describe_key": missing("KMSInternalException")}), ALIAS, "us-east-1")

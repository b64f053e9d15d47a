"""What only AWS knows of a deployment's key: its ARN, and whether it can be used. Reads only."""

from typing import Any

from botocore.exceptions import ClientError

from infra.encryption.settings import EncryptionSettings
from infra.errors import StepFailed
from infra.resources.resource import error_code
from infra.typed import make

_NAME_ANOTHER = "Name another in [encryption] of the preset."
_NONE = ("NotFoundException", "InvalidArnException")
# KMS refuses all use of a key in another state: "Key states of AWS KMS keys" in its guide.
_WAYS_BACK = {
    "Disabled": "aws kms enable-key --key-id {}",
    "PendingDeletion": "aws kms cancel-key-deletion --key-id {0} && aws kms enable-key --key-id {0}",
}


def find_key(kms: Any, settings: EncryptionSettings, region: str) -> str:
    """The ARN of the key that the settings mean. Raises StepFailed when there is none in the region, when it cannot
    encrypt what SageMaker, S3 and Lambda keep, and when the caller may not look it up."""
    try:
        found = kms.describe_key(KeyId=settings.key)["KeyMetadata"]
    except ClientError as error:
        if error_code(error) in _NONE:
            raise StepFailed(
                f"There is no KMS key {settings.key} in {region}.",
                f"A deployment makes none: `aws kms create-key` and `aws kms create-alias` do. Or: {_NAME_ANOTHER}",
            ) from None
        if error_code(error) == "AccessDeniedException":
            raise StepFailed(
                f"You may not look up the KMS key {settings.key}: {error.response['Error'].get('Message', '')}",
                "Let its key policy leave this to IAM, as a new key's does (then see "
                f"`{make('explain')} ROLE=deployer`), or name you and the deployment's roles there.",
            ) from None
        raise
    key, state = str(found["Arn"]), found["KeyState"]
    if key.split(":")[3] != region:
        raise StepFailed(f"The KMS key {key} is not in {region}, where the deployment is.", _NAME_ANOTHER)
    if (found["KeySpec"], found["KeyUsage"]) != ("SYMMETRIC_DEFAULT", "ENCRYPT_DECRYPT"):
        raise StepFailed(
            f"The KMS key {key} is for {found['KeyUsage']} ({found['KeySpec']}); only a symmetric one for "
            "ENCRYPT_DECRYPT encrypts what AWS keeps.",
            _NAME_ANOTHER,
        )
    if found["KeyManager"] != "CUSTOMER":
        raise StepFailed(f"The KMS key {key} is AWS's own: nobody else can say who may use it.", _NAME_ANOTHER)
    if state != "Enabled":
        way = _WAYS_BACK.get(state, "").format(key)
        raise StepFailed(f"The KMS key {key} is {state}.", f"{f'{way}. Or: ' if way else ''}{_NAME_ANOTHER}")
    return key

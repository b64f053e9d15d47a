"""Looks at photos that lie in a bucket of another account, as `infra/data/dataset.py` looks at those of this machine.
Reads only, and every call names the account that must own the bucket.

The photos are not downloaded: a listing tells classes, counts and an ETag for each, which is another one when the
content is. The trainer judges each photo itself.
"""

import hashlib
import json
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any

from botocore.exceptions import ClientError

from infra.blueprint import Blueprint
from infra.clients import Clients
from infra.data.dataset import Photo
from infra.data.layout import CHANNELS, MAX_BYTES
from infra.data_bucket.refusals import is_of_key
from infra.data_bucket.settings import DataSettings
from infra.errors import StepFailed
from infra.patience import message_of
from infra.resource_policies import data_bucket, data_key
from infra.resources.resource import error_code
from infra.typed import make
from infra.wait import check
from ml.photos import CONTENT_TYPES, shown

MAX_CLASSES = 10_000  # (ours)
_DENIED = ("AccessDenied", "403")
_MEND = "Mend [data] of the preset."


@dataclass(frozen=True)
class StoredDataset:
    """A data set that is in S3 alone. `classes` are sorted; `counts` are the photos by channel, `others` how many
    objects have no place among them. `digest` is the SHA-256 of all keys, sizes and ETags, in hex; `sample` the first
    photo to train with."""

    uri: str
    classes: tuple[str, ...]
    counts: Mapping[str, int]
    others: int
    digest: str
    sample: bytes

    def __str__(self) -> str:
        counts = ", ".join(f"{count:,} {name}" for name, count in self.counts.items())
        others = f"; {self.others:,} other objects" if self.others else ""
        return f"{len(self.classes)} classes; photos: {counts}{others}"

    @property
    def photos(self) -> tuple[Photo, ...]:
        """Those of this machine: none."""
        return ()

    @property
    def digests(self) -> Mapping[str, str]:
        """Of the photos of this machine."""
        return {}

    def split(self, name: str) -> tuple[Photo, ...]:
        """Those of this machine in a split: none."""
        return tuple(photo for photo in self.photos if photo.split == name)


def look(clients: Clients, blueprint: Blueprint, data: DataSettings) -> StoredDataset:
    """What lies there. Raises StepFailed for what no model can be trained with, for a bucket of somebody else, one of
    another region, and one that may not be read: then with the policy that its owner must attach, to the bucket or to
    the key that encrypts the photos. A photo that another key encrypts than the settings name is refused too."""
    digest, first = hashlib.sha256(), ""
    found = {channel: Counter[str]() for channel in CHANNELS}
    others = 0
    for channel in CHANNELS:
        for item in _listed(clients, blueprint, data, f"{data.folder}{channel}/"):
            key = item["Key"].removeprefix(data.folder)
            digest.update(f"{item['ETag']} {item['Size']} {key}\n".encode())
            name = _class_of(key)
            if name is None:
                others += not key.endswith("/")  # consoles make an empty object for a folder
                continue
            found[channel][name] += 1
            if len(found[channel]) > MAX_CLASSES:
                raise StepFailed(f"{data.uri} has more than {MAX_CLASSES:,} classes.", _MEND)
            if not first and item["Size"] <= MAX_BYTES:
                first = item["Key"]
    _check_classes(data, found)
    sample = _get(clients, blueprint, data, first) if first else b""
    counts = {channel: photos.total() for channel, photos in found.items()}
    return StoredDataset(data.uri, tuple(sorted(found["train"])), counts, others, digest.hexdigest(), sample)


def _listed(clients: Clients, blueprint: Blueprint, data: DataSettings, prefix: str) -> Any:
    """The objects below the prefix, in the order of their keys, which is S3's."""
    request = {"Bucket": data.bucket, "Prefix": prefix, "ExpectedBucketOwner": data.account}
    try:
        for page in clients.s3.get_paginator("list_objects_v2").paginate(**request):
            check()
            _check_region(data, page, blueprint.settings.region)
            yield from page.get("Contents", [])
    except ClientError as error:
        if error_code(error) == "NoSuchBucket":
            raise StepFailed(f"There is no bucket {data.bucket}.", _MEND) from error
        if error_code(error) not in _DENIED:
            raise
        if _is_open(clients, data, prefix):
            raise StepFailed(
                f"The bucket {data.bucket} does not belong to the account {data.account}, but to another one.",
                f"{_MEND} Nothing was read from it.",
            ) from error
        raise _denied(clients, blueprint, data, "s3:ListBucket") from error


def _get(clients: Clients, blueprint: Blueprint, data: DataSettings, key: str) -> bytes:
    try:
        answer = clients.s3.get_object(Bucket=data.bucket, Key=key, ExpectedBucketOwner=data.account)
        content: bytes = answer["Body"].read()
    except ClientError as error:
        if error_code(error) not in _DENIED:
            raise
        if is_of_key(message_of(error)):
            raise _key_denied(clients, blueprint, data, error) from error
        raise _denied(clients, blueprint, data, "s3:GetObject") from error
    if (found := answer.get("SSEKMSKeyId", data.kms_key_arn)) != data.kms_key_arn:
        raise StepFailed(
            f"The KMS key {found} encrypts the photos in {data.uri}, and [data] names "
            f"{data.kms_key_arn or 'no key'}: jobs could not decrypt them.",
            f'Set kms_key_arn = "{found}" in [data] of the preset. Then `{make("explain")} ROLE=data-key` has what the '
            "key's owner adds to its policy.",
        )
    return content


def _is_open(clients: Clients, data: DataSettings, prefix: str) -> bool:
    """Whether the bucket can be listed, whoever owns it: S3 says of a wrong owner only that access is denied."""
    try:
        clients.s3.list_objects_v2(Bucket=data.bucket, Prefix=prefix, MaxKeys=1)
    except ClientError:
        return False
    return True


def _check_region(data: DataSettings, page: Mapping[str, Any], region: str) -> None:
    """SageMaker reads a bucket of its own region alone, and so does a gateway endpoint. S3 names it in a header."""
    found = page.get("ResponseMetadata", {}).get("HTTPHeaders", {}).get("x-amz-bucket-region", region)
    if found != region:
        raise StepFailed(
            f"The bucket {data.bucket} is in {found}, and the deployment in {region}: SageMaker reads no other region.",
            f"Deploy in {found}, or have the photos copied to a bucket in {region}.",
        )


def _denied(clients: Clients, blueprint: Blueprint, data: DataSettings, action: str) -> StepFailed:
    policy = json.dumps(data_bucket(blueprint, clients.caller).policy, indent=2)
    return StepFailed(
        f"{data.uri} cannot be read: account {data.account}, if the bucket is its own, does not allow "
        f"{clients.caller or 'you'} {action}.",
        f"If your own policies allow it (`{make('explain')} ROLE=deployer` prints them), the bucket's owner attaches "
        f"this policy:\n{policy}",
    )


def _key_denied(clients: Clients, blueprint: Blueprint, data: DataSettings, error: ClientError) -> StepFailed:
    if not data.kms_key_arn:
        return StepFailed(
            f"A KMS key encrypts the photos in {data.uri}, and [data] names none: {message_of(error)}",
            "Ask their owner for the key's ARN, and set it as kms_key_arn in [data] of the preset.",
        )
    policy = json.dumps(data_key(blueprint, clients.caller).policy, indent=2)
    return StepFailed(
        f"{data.uri} cannot be decrypted: the policy of the KMS key {data.kms_key_arn} does not allow "
        f"{clients.caller or 'you'} kms:Decrypt. The bucket's policy is right.",
        f"If your own policies allow it (`{make('explain')} ROLE=deployer` prints them), the key's owner adds these "
        f"statements to its policy:\n{policy}",
    )


def _class_of(key: str) -> str | None:
    """The class of a photo by its key, `<channel>/<class>/<photo>`; None for what is none."""
    parts = key.split("/")
    if len(parts) != 3 or not parts[1] or PurePosixPath(parts[2]).suffix.lower() not in CONTENT_TYPES:
        return None
    return parts[1]


def _check_classes(data: DataSettings, found: Mapping[str, Counter[str]]) -> None:
    for channel, photos in found.items():
        if not photos:
            raise StepFailed(
                f"There is no photo below {data.uri}{channel}/.",
                f"Photos must have keys such as {data.folder}{channel}/<class>/<photo>.jpg. Else: {_MEND}",
            )
    train, valid = (set(found[channel]) for channel in CHANNELS)
    if differing := sorted(train ^ valid):
        raise StepFailed(
            f"{data.uri} has different classes to train and to validate with: {shown(differing[0])} is only in "
            f"{'train' if differing[0] in train else 'valid'}.",
            "Ask its owner for photos of the same classes in both.",
        )
    if len(train) < 2:
        raise StepFailed(f"{data.uri} has only one class: nothing to tell apart.", "Ask its owner for a second class.")

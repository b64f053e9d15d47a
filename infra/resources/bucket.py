"""The bucket that holds the data and the models."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from botocore.exceptions import ClientError

from infra import ownership
from infra.ownership import NotOurs
from infra.partitions import of_region
from infra.patience import once_free, once_seen
from infra.resource_policies import only_tls
from infra.resources import objects, titles
from infra.resources.resource import Change, Resource, State, differences, error_code, find, is_missing

_BLOCK_PUBLIC = {
    "BlockPublicAcls": True,
    "IgnorePublicAcls": True,
    "BlockPublicPolicy": True,
    "RestrictPublicBuckets": True,
}
# Parts of an upload that broke off cost as much as objects, and no list of objects shows them.
UNFINISHED: Mapping[str, Any] = {
    "ID": "stagemaker-unfinished-uploads",
    "Status": "Enabled",
    "Filter": {"Prefix": ""},
    "AbortIncompleteMultipartUpload": {"DaysAfterInitiation": 7},  # (ours)
}
_RULE = f"lifecycle rule {UNFINISHED['ID']}"
_OWNER = "BucketOwnerEnforced"  # access control lists do not count; AWS's default since April 2023


class Bucket(Resource):
    """A bucket in a region, with the tags of the deployment: closed to the public, without access control lists,
    encrypted by S3 or with the KMS key of the ARN `key`, for calls over TLS alone, and without parts of old uploads.
    Statements and lifecycle rules that others have put there stay."""

    title = titles.BUCKET
    holds = "its photos and models"

    def __init__(self, s3: Any, name: str, region: str, tags: Sequence[dict[str, str]] = (), key: str = "") -> None:
        self._s3, self.name, self._region, self._tags = s3, name, region, list(tags)
        own = only_tls(of_region(region).arn("s3", name))
        self._statements = {statement.sid: statement.document for statement in own}
        with_key = {"SSEAlgorithm": "aws:kms", "KMSMasterKeyID": key, "BucketKeyEnabled": True}
        self._encryption: dict[str, Any] = with_key if key else {"SSEAlgorithm": "AES256"}
        self._wanted = {**_BLOCK_PUBLIC, "ObjectOwnership": _OWNER, **self._encryption}

    def read(self) -> State | None:
        """Its public access block, `ObjectOwnership`, its default encryption (`SSEAlgorithm`, `KMSMasterKeyID`,
        `BucketKeyEnabled`), the `statements` of its policy by their Sid or place, the `lifecycle` with its rules, and
        its `tags`. Raises NotOurs when somebody else has the name."""
        try:  # not HeadBucket, whose errors have no code: credentials that have expired would look like anything
            listed = self._s3.list_objects_v2(Bucket=self.name, MaxKeys=1)
        except ClientError as error:
            if error_code(error) == "AccessDenied":
                raise self._taken() from None
            if not is_missing(error):
                raise
            return None
        tags = self._checked_tags(is_empty=not listed.get("Contents"))
        found = find(self._s3.get_public_access_block, Bucket=self.name) or {}
        return {
            **found.get("PublicAccessBlockConfiguration", {}),
            "ObjectOwnership": self._ownership(),
            **self._found_encryption(),
            "statements": self._policy(),
            "lifecycle": find(self._s3.get_bucket_lifecycle_configuration, Bucket=self.name) or {},
            "tags": tags,
        }

    def diff(self, state: State) -> list[Change]:
        """Each way to the public that is open, who owns its objects, how they are encrypted, the statements of its
        policy and the lifecycle rule that are ours, and the tags that are missing."""
        found = [tag for tag in state["tags"] if tag in self._tags]
        rule = next((one for one in state["lifecycle"].get("Rules", ()) if one.get("ID") == UNFINISHED["ID"]), None)
        statements = state["statements"]
        return [
            *differences(self._wanted, state),
            *(
                Change(f"statement {sid}", statements.get(sid), wanted)
                for sid, wanted in self._statements.items()
                if _plain(statements.get(sid)) != _plain(wanted)
            ),
            *([] if _is_unfinished(rule) else [Change(_RULE, rule, dict(UNFINISHED))]),
            *differences({"tags": self._tags}, {"tags": found}),
        ]

    def create(self) -> str:
        """Make it, and close it. Raises NotOurs when another account has the name."""
        place = {} if self._region == "us-east-1" else {"LocationConstraint": self._region}
        request = {"Bucket": self.name, **({"CreateBucketConfiguration": place} if place else {})}
        try:
            once_free(lambda: self._s3.create_bucket(**request), "OperationAborted")
        except ClientError as error:
            if error_code(error) == "BucketAlreadyExists":
                raise self._taken() from None
            if error_code(error) != "BucketAlreadyOwnedByYou":  # made at this moment by another deployment
                raise
        nothing: State = {"statements": {}, "lifecycle": {}, "tags": []}
        return once_seen(lambda: self.update(nothing, self.diff(nothing)))

    def update(self, state: State, changes: list[Change]) -> str:
        """Put what differs: in the policy, the lifecycle rules and the tags besides those of others. Where another
        encryption is wanted, what the bucket holds is encrypted so before it is the default: a run that is cut short
        begins again, and nothing is left that the deployment's roles cannot read."""
        members, remark = {change.member for change in changes}, ""
        if members & _BLOCK_PUBLIC.keys():
            self._s3.put_public_access_block(Bucket=self.name, PublicAccessBlockConfiguration=_BLOCK_PUBLIC)
        if "ObjectOwnership" in members:
            rules = {"Rules": [{"ObjectOwnership": _OWNER}]}
            self._s3.put_bucket_ownership_controls(Bucket=self.name, OwnershipControls=rules)
        if members & self._encryption.keys():
            if state.get("SSEAlgorithm"):
                remark = f"{objects.encrypt(self._s3, self.name, self._copied()):,} objects encrypted anew"
            rules = {"Rules": [self._encryption_rule()]}
            self._s3.put_bucket_encryption(Bucket=self.name, ServerSideEncryptionConfiguration=rules)
        if any(f"statement {sid}" in members for sid in self._statements):
            statements = list({**state["statements"], **self._statements}.values())
            policy = {"Version": "2012-10-17", "Statement": statements}
            self._s3.put_bucket_policy(Bucket=self.name, Policy=json.dumps(policy))
        if _RULE in members:
            self._put_lifecycle(state["lifecycle"])
        if "tags" in members:
            keys = {tag["Key"] for tag in self._tags}
            tags = [*self._tags, *(tag for tag in state["tags"] if tag["Key"] not in keys)]
            self._s3.put_bucket_tagging(Bucket=self.name, Tagging={"TagSet": tags})
        return remark

    def delete(self) -> None:
        """Delete all objects in it, then the bucket."""
        objects.delete(self._s3, self.name, objects.sizes(self._s3, self.name, ""))
        self._s3.delete_bucket(Bucket=self.name)

    def _put_lifecycle(self, found: Mapping[str, Any]) -> None:
        theirs = [one for one in found.get("Rules", ()) if one.get("ID") != UNFINISHED["ID"]]
        size = "TransitionDefaultMinimumObjectSize"  # of the bucket, beside its rules; without it S3's own comes back
        self._s3.put_bucket_lifecycle_configuration(
            Bucket=self.name,
            LifecycleConfiguration={"Rules": [*theirs, dict(UNFINISHED)]},
            **({size: found[size]} if size in found else {}),
        )

    def _ownership(self) -> str | None:
        found = find(self._s3.get_bucket_ownership_controls, Bucket=self.name)
        return found["OwnershipControls"]["Rules"][0]["ObjectOwnership"] if found else None

    def _found_encryption(self) -> dict[str, Any]:
        found = find(self._s3.get_bucket_encryption, Bucket=self.name)
        if not found:
            return {"SSEAlgorithm": None}
        (rule,) = found["ServerSideEncryptionConfiguration"]["Rules"]
        return {**rule["ApplyServerSideEncryptionByDefault"], "BucketKeyEnabled": rule.get("BucketKeyEnabled", False)}

    def _encryption_rule(self) -> dict[str, Any]:
        """Of the bucket, for what is written from now on."""
        default = {name: value for name, value in self._encryption.items() if name != "BucketKeyEnabled"}
        bucket_key = {"BucketKeyEnabled": True} if "BucketKeyEnabled" in self._encryption else {}
        return {"ApplyServerSideEncryptionByDefault": default, **bucket_key}

    def _copied(self) -> dict[str, Any]:
        """Of an object, as CopyObject calls it."""
        names = {"SSEAlgorithm": "ServerSideEncryption", "KMSMasterKeyID": "SSEKMSKeyId"}
        return {names.get(name, name): value for name, value in self._encryption.items()}

    def _policy(self) -> dict[str, Any]:
        found = find(self._s3.get_bucket_policy, Bucket=self.name)
        statements = json.loads(found["Policy"])["Statement"] if found else []
        listed = [statements] if isinstance(statements, Mapping) else statements
        return {statement.get("Sid", f"number {number}"): statement for number, statement in enumerate(listed)}

    def _checked_tags(self, *, is_empty: bool) -> list[dict[str, str]]:
        """Its tags. A deployment that was cut leaves an empty bucket without tags, which is taken as ours."""
        found = find(self._s3.get_bucket_tagging, Bucket=self.name)
        tags = found["TagSet"] if found else []
        if tags or not is_empty:
            ownership.check(self.title, self.name, tags, self._tags)
        return list(tags)

    def _taken(self) -> NotOurs:
        return NotOurs(
            f"The bucket {self.name} belongs to someone else, or you may not list it.",
            "Choose another --project, or get the right s3:ListBucket.",
        )


def _is_unfinished(rule: Mapping[str, Any] | None) -> bool:
    """Whether it is UNFINISHED, for all keys: S3 writes that in more than one way."""
    if rule is None:
        return False
    everywhere = not rule.get("Prefix") and not any(rule.get("Filter", {}).values())
    members = ("Status", "AbortIncompleteMultipartUpload")
    return everywhere and all(rule.get(member) == UNFINISHED[member] for member in members)


def _plain(statement: Mapping[str, Any] | None) -> Any:
    """The statement with each list of one value as that value: AWS takes both for the same."""
    if not isinstance(statement, Mapping):
        return statement
    return {
        key: _plain(value) if isinstance(value, Mapping) else value[0] if _is_one(value) else value
        for key, value in statement.items()
    }


def _is_one(value: Any) -> bool:
    return isinstance(value, list) and len(value) == 1

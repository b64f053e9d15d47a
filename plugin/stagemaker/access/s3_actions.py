"""Which permissions an operation of S3 needs. Pure.

Source: "Required permissions for Amazon S3 API operations",
https://docs.aws.amazon.com/AmazonS3/latest/userguide/using-with-s3-policy-actions.html.
"""

from collections.abc import Iterator, Mapping
from typing import Any

from stagemaker.access.addresses import copy_source
from stagemaker.access.call import NO_RESOURCE, Call, Lookup, Need
from stagemaker.core.errors import ApiError

REFUSED_KEYS = "stagemaker_refused_keys"  # of a RequestContext: those of DeleteObjects by place, with the sentences
# Operations whose action has another name; all others are their own action. `{}` is where "Version" comes for a request
# with a VersionId.
_ACTIONS: Mapping[str, tuple[str, ...]] = {
    "CompleteMultipartUpload": ("PutObject",),
    "CopyObject": ("PutObject",),
    "CreateMultipartUpload": ("PutObject",),
    "DeleteBucketAnalyticsConfiguration": ("PutAnalyticsConfiguration",),
    "DeleteBucketCors": ("PutBucketCORS",),
    "DeleteBucketEncryption": ("PutEncryptionConfiguration",),
    "DeleteBucketIntelligentTieringConfiguration": ("PutIntelligentTieringConfiguration",),
    "DeleteBucketInventoryConfiguration": ("PutInventoryConfiguration",),
    "DeleteBucketLifecycle": ("PutLifecycleConfiguration",),
    "DeleteBucketMetricsConfiguration": ("PutMetricsConfiguration",),
    "DeleteBucketOwnershipControls": ("PutBucketOwnershipControls",),
    "DeleteBucketReplication": ("PutReplicationConfiguration",),
    "DeleteBucketTagging": ("PutBucketTagging",),
    "DeleteObject": ("DeleteObject{}",),
    "DeleteObjectTagging": ("DeleteObject{}Tagging",),
    "DeletePublicAccessBlock": ("PutBucketPublicAccessBlock",),
    "GetBucketAccelerateConfiguration": ("GetAccelerateConfiguration",),
    "GetBucketAnalyticsConfiguration": ("GetAnalyticsConfiguration",),
    "GetBucketEncryption": ("GetEncryptionConfiguration",),
    "GetBucketIntelligentTieringConfiguration": ("GetIntelligentTieringConfiguration",),
    "GetBucketInventoryConfiguration": ("GetInventoryConfiguration",),
    "GetBucketLifecycle": ("GetLifecycleConfiguration",),
    "GetBucketLifecycleConfiguration": ("GetLifecycleConfiguration",),
    "GetBucketMetricsConfiguration": ("GetMetricsConfiguration",),
    "GetBucketNotificationConfiguration": ("GetBucketNotification",),
    "GetBucketReplication": ("GetReplicationConfiguration",),
    "GetObject": ("GetObject{}",),
    "GetObjectAcl": ("GetObject{}Acl",),
    "GetObjectAttributes": ("GetObject{}", "GetObject{}Attributes"),
    "GetObjectLockConfiguration": ("GetBucketObjectLockConfiguration",),
    "GetObjectTagging": ("GetObject{}Tagging",),
    "GetObjectTorrent": ("GetObject{}Torrent",),
    "GetPublicAccessBlock": ("GetBucketPublicAccessBlock",),
    "HeadBucket": ("ListBucket",),
    "HeadObject": ("GetObject{}",),
    "ListBucketAnalyticsConfigurations": ("GetAnalyticsConfiguration",),
    "ListBucketIntelligentTieringConfigurations": ("GetIntelligentTieringConfiguration",),
    "ListBucketInventoryConfigurations": ("GetInventoryConfiguration",),
    "ListBucketMetricsConfigurations": ("GetMetricsConfiguration",),
    "ListBuckets": ("ListAllMyBuckets",),
    "ListDirectoryBuckets": ("ListAllMyBuckets",),
    "ListMultipartUploads": ("ListBucketMultipartUploads",),
    "ListObjectVersions": ("ListBucketVersions",),
    "ListObjects": ("ListBucket",),
    "ListObjectsV2": ("ListBucket",),
    "ListParts": ("ListMultipartUploadParts",),
    "PostObject": ("PutObject",),
    "PutBucketAccelerateConfiguration": ("PutAccelerateConfiguration",),
    "PutBucketAnalyticsConfiguration": ("PutAnalyticsConfiguration",),
    "PutBucketEncryption": ("PutEncryptionConfiguration",),
    "PutBucketIntelligentTieringConfiguration": ("PutIntelligentTieringConfiguration",),
    "PutBucketInventoryConfiguration": ("PutInventoryConfiguration",),
    "PutBucketLifecycle": ("PutLifecycleConfiguration",),
    "PutBucketLifecycleConfiguration": ("PutLifecycleConfiguration",),
    "PutBucketMetricsConfiguration": ("PutMetricsConfiguration",),
    "PutBucketNotificationConfiguration": ("PutBucketNotification",),
    "PutBucketReplication": ("PutReplicationConfiguration",),
    "PutObjectAcl": ("PutObject{}Acl",),
    "PutObjectLockConfiguration": ("PutBucketObjectLockConfiguration",),
    "PutObjectTagging": ("PutObject{}Tagging",),
    "PutPublicAccessBlock": ("PutBucketPublicAccessBlock",),
    "SelectObjectContent": ("GetObject",),
    "UploadPart": ("PutObject",),
    "UploadPartCopy": ("PutObject",),
}
_READS = ("GetObject", "HeadObject")
_COPIES = ("CopyObject", "UploadPartCopy")
_WRITES = ("PutObject", "CopyObject", "CreateMultipartUpload", "PostObject")
# A member of a write that needs another permission besides.
_WITH: Mapping[str, str] = {
    "ACL": "PutObjectAcl",
    "GrantFullControl": "PutObjectAcl",
    "GrantRead": "PutObjectAcl",
    "GrantReadACP": "PutObjectAcl",
    "GrantWriteACP": "PutObjectAcl",
    "Tagging": "PutObjectTagging",
    "ObjectLockMode": "PutObjectRetention",
    "ObjectLockRetainUntilDate": "PutObjectRetention",
    "ObjectLockLegalHoldStatus": "PutObjectLegalHold",
}


def s3_needs(call: Call, lookup: Lookup) -> Iterator[Need]:
    """The actions on buckets and objects that a call of S3 needs. DeleteObjects needs one for each key."""
    bucket = call.members.get("Bucket")
    if not isinstance(bucket, str):
        for action in _ACTIONS.get(call.operation, (call.operation,)):
            yield Need(f"s3:{action.format('')}", NO_RESOURCE, call.account)
        return
    if call.operation == "DeleteObjects":
        for entry in (call.members.get("Delete") or {}).get("Objects") or ():
            yield s3_delete(call, lookup, bucket, entry)
        return
    key, version = call.members.get("Key"), call.members.get("VersionId")
    word = "Version" if version else ""
    for action in _ACTIONS.get(call.operation, (call.operation,)):
        yield _need(call, lookup, action.format(word), bucket, key)
    if call.operation in _COPIES and (source := copy_source(call.members.get("CopySource"))):
        of, source_key, source_version = source
        yield _need(call, lookup, "GetObjectVersion" if source_version else "GetObject", of, source_key)
    if call.operation in _WRITES:
        for action in dict.fromkeys(action for member, action in _WITH.items() if call.members.get(member)):
            yield _need(call, lookup, action, bucket, key)
    if call.operation in _READS and key and not version and not _is_there(lookup, bucket, key):
        yield _need(call, lookup, "ListBucket", bucket, None)  # who may not list does not learn that it is missing


def check_owner(members: Mapping[str, Any], lookup: Lookup) -> None:
    """Raise ApiError where a request names the account that it expects to own a bucket, and another one does, whatever
    the caller may do (https://docs.aws.amazon.com/AmazonS3/latest/userguide/bucket-owner-condition.html)."""
    source = copy_source(members.get("CopySource"))
    for bucket, expected in (
        (members.get("Bucket"), members.get("ExpectedBucketOwner")),
        (source[0] if source else None, members.get("ExpectedSourceBucketOwner")),
    ):
        owner = lookup.bucket_owner(bucket) if bucket and expected else None
        if owner and owner != expected:
            raise ApiError("AccessDenied", "Access Denied", 403)


def s3_delete(call: Call, lookup: Lookup, bucket: str, entry: Mapping[str, Any]) -> Need:
    """What one key of DeleteObjects needs."""
    action = "DeleteObjectVersion" if entry.get("VersionId") else "DeleteObject"
    return _need(call, lookup, action, bucket, entry.get("Key") or "")


def object_of(arn: str) -> tuple[str, str] | None:
    """The bucket and the key of an object's ARN."""
    bucket, slash, key = arn.partition(":::")[2].partition("/")
    return (bucket, key) if slash else None


def _need(call: Call, lookup: Lookup, action: str, bucket: str, key: str | None) -> Need:
    owner = lookup.bucket_owner(bucket) or call.account
    name = bucket if key is None else f"{bucket}/{key}"
    return Need(f"s3:{action}", f"arn:{call.partition}:s3:::{name}", owner)


def _is_there(lookup: Lookup, bucket: str, key: str) -> bool:
    """Also where the bucket is missing, of which S3 tells everybody."""
    return lookup.bucket_owner(bucket) is None or lookup.has_object(bucket, key)

"""The condition keys of a question: AWS's global ones, and those that AWS lists for the action. Pure, but for look-ups.

Sources: "AWS global condition context keys" of the IAM user guide,
https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_condition-keys.html, and the "Condition keys" of
each service in the Service Authorization Reference. A key of a service has the value of the member with its name,
wherever in the request that is; SPECIAL has those whose members have other names.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any

from stagemaker.access.call import Call, Lookup, Need
from stagemaker.access.callers import Caller
from stagemaker.access.catalog import Action
from stagemaker.access.request import Context
from stagemaker.access.resources import function_arn
from stagemaker.access.s3_actions import object_of

# A client of AWS speaks TLS. The stage is reached over loopback, and plain HTTP never leaves the machine (ours).
SECURE_TRANSPORT = "true"
SOURCE_VPCE = "aws:sourcevpce"  # only a request that goes through a VPC endpoint has it
_ROLE, _FEDERATED = ":assumed-role/", ":federated-user/"
# Members of SageMaker's requests by the condition key that shows them.
_SAGEMAKER: Mapping[str, tuple[str, ...]] = {
    "sagemaker:instancetypes": ("InstanceType",),
    "sagemaker:vpcsubnets": ("Subnets", "SubnetIds", "SubnetId"),
    "sagemaker:vpcsecuritygroupids": ("SecurityGroupIds", "SecurityGroups"),
    "sagemaker:networkisolation": ("EnableNetworkIsolation",),
    "sagemaker:intercontainertrafficencryption": ("EnableInterContainerTrafficEncryption",),
    "sagemaker:volumekmskeyarn": ("VolumeKmsKeyId",),
    "sagemaker:keepaliveperiod": ("KeepAlivePeriodInSeconds",),
    "sagemaker:serverlessmaxconcurrency": ("MaxConcurrency",),
    "sagemaker:serverlessmemorysize": ("MemorySizeInMB",),
    "sagemaker:filesystemdirectorypath": ("DirectoryPath",),
    "sagemaker:modelarn": ("ModelArn", "ModelPackageName"),
}
_OUTPUTS = ("OutputDataConfig", "TransformOutput", "ProcessingOutputConfig", "OutputConfig")
_FALSE = ("sagemaker:networkisolation", "sagemaker:intercontainertrafficencryption")  # where the member is absent
_UNLISTED = {"sagemaker:InvokeEndpoint": ("sagemaker:targetcontainerhostname", "TargetContainerHostname")}
_TAG_MEMBERS = ("Tags", "tags", "TagSet", "Tagging", "TagList")
_OBJECT_LOCK = "s3:object-lock-"
_BOUNDED = ("role", "user")


def caller_keys(call: Call, caller: Caller, lookup: Lookup) -> dict[str, str | tuple[str, ...]]:
    """What all questions of a call have in common: who asks, when and how."""
    principal, how = caller.principal, call.circumstances
    keys: dict[str, str | tuple[str, ...]] = {
        "aws:currenttime": _moment(int(how.time_s)),
        "aws:epochtime": str(int(how.time_s)),
        "aws:requestedregion": call.region,
        "aws:securetransport": SECURE_TRANSPORT,
        "aws:viaawsservice": "false",
        "aws:principalisawsservice": "true" if principal.is_service and not caller.is_anonymous else "false",
        "aws:principaltype": _principal_type(caller),
    }
    if not principal.is_service:
        keys["aws:principalarn"] = principal.role_arn or principal.arn
        keys["aws:principalaccount"] = principal.account or ""
        keys["aws:userid"] = caller.user_id
        keys["aws:sourceip"] = caller.source_ip
        for name, value in lookup.principal_tags(caller).items():
            keys[f"aws:principaltag/{name.lower()}"] = value
    elif caller.is_anonymous:
        keys["aws:userid"], keys["aws:sourceip"] = "anonymous", caller.source_ip
    else:
        keys["aws:principalservicename"] = principal.arn
    for key, found in (
        ("aws:username", caller.user_name),
        ("aws:useragent", how.user_agent),
        ("aws:referer", how.headers.get("referer")),
        ("aws:sourceaccount", how.source_account),
        ("aws:sourcearn", how.source_arn),
        ("aws:tokenissuetime", _moment(int(caller.issued_s)) if caller.issued_s is not None else None),
    ):
        if found:
            keys[key] = found
    if call.prefix == "s3" and (endpoint := lookup.s3_endpoint(caller)) is not None:
        keys[SOURCE_VPCE], keys["aws:sourcevpc"] = endpoint.id, endpoint.vpc_id
        keys.pop("aws:sourceip", None)  # a private address is shown by aws:VpcSourceIp, which is absent (ours)
    return keys


def keys_of(
    call: Call, need: Need, action: Action, common: Mapping[str, str | tuple[str, ...]], lookup: Lookup
) -> Context:
    """The context of one question. `common` is that of the call."""
    keys = dict(common)
    keys["aws:resourceaccount"] = need.account
    listed: Iterable[tuple[str, Any]] = (
        *_request_tags(call, action),
        *_resource_tags(need, action, lookup),
        *_from_members(call, action),
        *SPECIAL.get(call.prefix, _nothing)(call, need, action, lookup),
    )
    for key, value in listed:
        if value not in (None, "", []) and action.knows(key):
            keys[key] = _value(value, several=action.keys.get(key, False) or key == "aws:tagkeys")
            if key.endswith("kmskeyarn"):
                keys[key.removesuffix("arn")] = keys[key]  # its older name
    if action.name in _UNLISTED:  # which AWS documents, but does not list
        key, member = _UNLISTED[action.name]
        if member in call.members:
            keys[key] = str(call.members[member])
    return keys


def request_tags(call: Call) -> dict[str, str]:
    """The tags that a request brings."""
    for member in _TAG_MEMBERS:
        if tags := _tags(call.members.get(member)):
            return tags
    bucket = call.members.get("CreateBucketConfiguration")
    return _tags(bucket.get("Tags")) if isinstance(bucket, Mapping) else {}


def _request_tags(call: Call, action: Action) -> Iterator[tuple[str, Any]]:
    if not action.takes_tags:
        return
    tags = request_tags(call)
    for name, value in tags.items():
        yield f"aws:requesttag/{name.lower()}", value
        yield f"s3:requestobjecttag/{name.lower()}", value
    names = (*tags, *(call.members.get("TagKeys") or call.members.get("tagKeys") or ()))
    if names:
        yield "aws:tagkeys", names
        yield "s3:requestobjecttagkeys", names


def _resource_tags(need: Need, action: Action, lookup: Lookup) -> Iterator[tuple[str, Any]]:
    """Under AWS's name and under the service's own."""
    if action.tag_families and need.arn != "*":
        for name, value in lookup.resource_tags(need.arn, need.account).items():
            for family in action.tag_families:
                yield f"{family}{name.lower()}", value


def _from_members(call: Call, action: Action) -> Iterator[tuple[str, Any]]:
    """The keys that are called as a member is, but for dashes and letter case."""
    for key, name in action.members.items():
        if found := call.leaves.get(name) or call.leaves.get(f"{name}s"):
            yield key, found


def _sagemaker(call: Call, _need: Need, action: Action, _lookup: Lookup) -> Iterator[tuple[str, Any]]:
    if not action.members:
        return
    for key in _SAGEMAKER.keys() & action.keys:
        found = [value for member in _SAGEMAKER[key] for value in call.leaves.get(member.lower(), ())]
        yield key, found if found else "false" if key in _FALSE else None
    if call.operation == "CreateEndpointConfig":
        yield "sagemaker:volumekmskeyarn", call.members.get("KmsKeyId")
    for output in _OUTPUTS:
        if isinstance(inside := call.members.get(output), Mapping):
            yield "sagemaker:outputkmskeyarn", inside.get("KmsKeyId")
    if action.name == "sagemaker:AddTags" and call.operation != "AddTags":
        yield "sagemaker:taggingaction", call.operation


def _s3(call: Call, need: Need, _action: Action, lookup: Lookup) -> Iterator[tuple[str, Any]]:
    how = call.circumstances
    yield "s3:resourceaccount", need.account
    yield from ((f"s3:{name}", value) for name, value in how.headers.items() if name.startswith(("x-amz-", "if-")))
    for name, value in how.headers.items():
        if name.startswith("x-amz-object-lock-"):
            yield _OBJECT_LOCK + name.removeprefix("x-amz-object-lock-"), value
    if how.signed_s:
        yield "s3:authtype", "REST-QUERY-STRING" if how.is_presigned else "REST-HEADER"
        yield "s3:signatureversion", "AWS4-HMAC-SHA256"
        yield "s3:signatureage", str(max(0, int((how.time_s - how.signed_s) * 1000)))
    if found := object_of(need.arn):
        version = call.members.get("VersionId")
        for name, value in lookup.object_tags(found[0], found[1], version).items():
            yield f"s3:existingobjecttag/{name.lower()}", value


def _lambda(call: Call, _need: Need, _action: Action, _lookup: Lookup) -> Iterator[tuple[str, Any]]:
    name = call.members.get("FunctionName")
    if isinstance(name, str):
        yield "lambda:functionarn", function_arn(call, name, None)[0]
    yield "lambda:functionurlauthtype", call.members.get("FunctionUrlAuthType") or call.members.get("AuthType")
    yield "lambda:layer", call.members.get("Layers")


def _iam(call: Call, need: Need, _action: Action, lookup: Lookup) -> Iterator[tuple[str, Any]]:
    """The boundary is that of the request, or else the one that the role or the user has."""
    given = call.members.get("PermissionsBoundary")
    kind, _, path = need.arn.rpartition(":")[2].partition("/")
    if given is None and kind in _BOUNDED:
        given = lookup.iam_boundary(need.account, kind, path.rpartition("/")[2])
    yield "iam:permissionsboundary", given


def _cloudwatch(call: Call, _need: Need, _action: Action, _lookup: Lookup) -> Iterator[tuple[str, Any]]:
    members = ("AlarmActions", "OKActions", "InsufficientDataActions")
    yield "cloudwatch:alarmactions", [arn for member in members for arn in call.members.get(member) or ()]


def _nothing(_call: Call, _need: Need, _action: Action, _lookup: Lookup) -> Iterator[tuple[str, Any]]:
    return iter(())


SPECIAL: Mapping[str, Callable[[Call, Need, Action, Lookup], Iterator[tuple[str, Any]]]] = {
    "sagemaker": _sagemaker,
    "s3": _s3,
    "lambda": _lambda,
    "iam": _iam,
    "cloudwatch": _cloudwatch,
}


def _value(value: Any, *, several: bool) -> str | tuple[str, ...]:
    texts = [_text(item) for item in value] if isinstance(value, list | tuple) else [_text(value)]
    return tuple(dict.fromkeys(texts)) if several or len(texts) != 1 else texts[0]


def _text(value: Any) -> str:
    return ("true" if value else "false") if isinstance(value, bool) else str(value)


def _tags(value: Any) -> dict[str, str]:
    """Of a list of keys and values, of a mapping, or of a text such as `a=1&b=2`."""
    if isinstance(value, Mapping):
        if "TagSet" in value:
            return _tags(value["TagSet"])
        return {str(name): str(text) for name, text in value.items()}
    if isinstance(value, str):
        pairs = (pair.partition("=") for pair in value.split("&") if pair)
        return {name: text for name, _, text in pairs}
    tags = {}
    for tag in value or ():
        if isinstance(tag, Mapping):
            members = {str(name).lower().removeprefix("tag"): text for name, text in tag.items()}
            if "key" in members:
                tags[str(members["key"])] = str(members.get("value") or "")
    return tags


def _principal_type(caller: Caller) -> str:
    if caller.is_anonymous:
        return "Anonymous"
    arn = caller.principal.arn
    if _ROLE in arn:
        return "AssumedRole"
    return "FederatedUser" if _FEDERATED in arn else "Account" if caller.principal.is_root else "User"


@lru_cache(maxsize=256)
def _moment(seconds: int) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")

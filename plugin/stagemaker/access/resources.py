"""Which actions on which resources a call is about. Pure, but for what it looks up.

Each service of OWN has a function of its own. Of every other service the forms of ARNs that AWS lists for the action
are filled with the members of the request; a resource that the members do not name is `*`, which only a policy for all
resources allows.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import lru_cache
from typing import Any

from stagemaker.access.addresses import function_parts, queue_parts
from stagemaker.access.call import NO_RESOURCE, Call, Lookup, Need
from stagemaker.access.catalog import Action, ResourceType, fill, find_action
from stagemaker.access.match import ARN_FIELDS
from stagemaker.access.s3_actions import s3_needs

MAX_ARN_CHARACTERS = 2048
FREE = ("sts:GetCallerIdentity", "sts:GetSessionToken")  # need no permission
# Operations of Lambda with the qualifier in the ARN that IAM is asked about.
_QUALIFIED = (
    "Invoke", "InvokeWithResponseStream", "GetFunction", "GetFunctionConfiguration", "DeleteFunction",
    "PutProvisionedConcurrencyConfig", "GetProvisionedConcurrencyConfig", "DeleteProvisionedConcurrencyConfig",
)  # fmt: skip
# Operations of other services whose actions have other names.
_ACTIONS: Mapping[str, tuple[str, ...]] = {
    "lambda:Invoke": ("InvokeFunction",),
    "lambda:InvokeWithResponseStream": ("InvokeFunction",),
    "lambda:GetLayerVersionByArn": ("GetLayerVersion",),
    "sns:PublishBatch": ("Publish",),
    "sqs:SendMessageBatch": ("SendMessage",),
    "sqs:DeleteMessageBatch": ("DeleteMessage",),
    "sqs:ChangeMessageVisibilityBatch": ("ChangeMessageVisibility",),
    "kms:ReEncrypt": ("ReEncryptFrom", "ReEncryptTo"),
    "s3:GetPublicAccessBlock": ("GetAccountPublicAccessBlock",),
    "s3:PutPublicAccessBlock": ("PutAccountPublicAccessBlock",),
    "s3:DeletePublicAccessBlock": ("PutAccountPublicAccessBlock",),
}
_ITEM_ACTIONS = {  # of DynamoDB's transactions
    "Get": "GetItem", "Put": "PutItem", "Update": "UpdateItem", "Delete": "DeleteItem",
    "ConditionCheck": "ConditionCheckItem",
}  # fmt: skip
_IAM_MEMBERS = (  # which member names a resource of IAM, and how its ARN begins
    ("InstanceProfileName", "instance-profile"), ("RoleName", "role"), ("UserName", "user"), ("GroupName", "group"),
)  # fmt: skip


def needs_of(call: Call, lookup: Lookup, user_name: str | None) -> list[Need]:
    """The actions of a call, each with its resource. Those of an operation that needs no permission: nothing.

    `user_name` is the caller's, of whom some operations of IAM are about."""
    if call.resources:
        return [Need(call.name, arn, account_of(arn) or call.account) for arn in call.resources]
    if call.service in OWN:
        return list(OWN[call.service](call, lookup, user_name))
    return list(_listed(call))


@lru_cache(maxsize=1024)
def account_of(arn: str) -> str | None:
    """The account that an ARN names; None for one that names none."""
    fields = arn.split(":", ARN_FIELDS - 1)
    return fields[4] if len(fields) == ARN_FIELDS and fields[4].isdecimal() else None


def function_arn(call: Call, name: str, qualifier: str | None) -> tuple[str, str | None]:
    """The ARN of a function, without a qualifier, and the qualifier, from a name, a partial or a whole ARN."""
    region, account, short, own = function_parts(name)
    arn = f"arn:{call.partition}:lambda:{region or call.region}:{account or call.account}:function:{short}"
    return arn, own or qualifier


def _lambda(call: Call, _lookup: Lookup, _user: str | None) -> Iterator[Need]:
    """A function, with its qualifier where AWS asks for it; else what the members name."""
    name = call.members.get("FunctionName")
    if not isinstance(name, str) or call.operation in ("ListEventSourceMappings", "CreateEventSourceMapping"):
        yield from _listed(call)
        return
    arn, qualifier = function_arn(call, name, call.members.get("Qualifier"))
    if qualifier and call.operation in _QUALIFIED:
        arn = f"{arn}:{qualifier}"
    for action in _ACTIONS.get(call.name, (call.operation,)):
        yield Need(f"lambda:{action}", arn, account_of(arn) or call.account)


def _logs(call: Call, _lookup: Lookup, _user: str | None) -> Iterator[Need]:
    """A log group's ARN ends with `:log-stream:` in all questions but those about tags, as AWS's refusals say it."""
    action = find_action("logs", call.operation)
    kinds = {kind.name for kind in action.resources} if action else set()
    if not kinds & {"log-group", "log-stream"} or call.operation in ("TagResource", "UntagResource"):
        yield from _listed(call)
        return
    members = ("logGroupName", "logGroupIdentifier", "logGroupNames", "logGroupIdentifiers")
    names = [name for member in members for name in _list(call.members.get(member))]
    if call.operation == "ListTagsForResource" or not names:
        yield from _listed(call)
        return
    stream = call.members.get("logStreamName") or ""
    for name in names:
        group = name.removesuffix(":*") if name.startswith("arn:") else call.arn("logs", f"log-group:{name}")
        yield Need(call.name, f"{group}:log-stream:{stream}", account_of(group) or call.account)


def _cloudwatch(call: Call, _lookup: Lookup, _user: str | None) -> Iterator[Need]:
    """Alarms, dashboards and streams by their names; an operation on all alarms asks about `alarm:*`."""
    action = find_action("cloudwatch", call.operation)
    if action is None or not any(kind.required for kind in action.resources):
        yield Need(call.name, NO_RESOURCE, call.account)
        return
    kind = next(kind for kind in action.resources if kind.required)
    if kind.name in ("alarm", "alarm-mute-rule") and call.operation.startswith(("Describe", "List")):
        for name in _texts(call.members, "AlarmNames", "AlarmName") or ["*"]:
            yield Need(call.name, call.arn("cloudwatch", f"alarm:{name}"), call.account)
        return
    yield from _listed(call, ("Name", "Names"))


def _iam(call: Call, lookup: Lookup, user_name: str | None) -> Iterator[Need]:
    """Users, groups, roles and instance profiles by their names and paths; policies by their ARNs."""
    action = find_action("iam", call.operation)
    if action is None or not action.resources:
        yield Need(call.name, NO_RESOURCE, call.account)
        return
    kinds = {kind.name for kind in action.resources}
    if call.operation == "CreatePolicy":
        path = call.members.get("Path") or "/"
        yield _iam_need(call, "policy", path, str(call.members.get("PolicyName")))
        return
    for member, kind in _IAM_MEMBERS:
        name = call.members.get(member)
        if kind in kinds and isinstance(name, str):
            is_new = call.operation == f"Create{member.removesuffix('Name')}"
            found = call.members.get("Path") or "/" if is_new else lookup.iam_path(call.account, kind, name)
            yield _iam_need(call, kind, found, name)
            return
    if kinds == {"user"}:  # of the caller: GetUser, ListAccessKeys and their like
        name = user_name or ""
        yield _iam_need(call, "user", lookup.iam_path(call.account, "user", name) if name else "/", name)
        return
    yield from _listed(call)


def _iam_need(call: Call, kind: str, path: str, name: str) -> Need:
    return Need(call.name, call.arn("iam", f"{kind}{path}{name}", region=""), call.account)


def _sts(call: Call, _lookup: Lookup, _user: str | None) -> Iterator[Need]:
    """GetCallerIdentity and GetSessionToken need no permission."""
    if call.name in FREE:
        return
    role = call.members.get("RoleArn")
    if call.operation.startswith("AssumeRole") and isinstance(role, str):
        yield Need(call.name, role, account_of(role) or call.account)
        if call.operation == "AssumeRole" and call.members.get("Tags"):
            yield Need("sts:TagSession", role, account_of(role) or call.account)
        if call.operation == "AssumeRole" and call.members.get("SourceIdentity"):
            yield Need("sts:SetSourceIdentity", role, account_of(role) or call.account)
    elif call.operation == "GetFederationToken":
        arn = call.arn("sts", f"federated-user/{call.members.get('Name')}", region="")
        yield Need(call.name, arn, call.account)
    else:
        yield Need(call.name, NO_RESOURCE, call.account)


def _s3(call: Call, lookup: Lookup, _user: str | None) -> Iterator[Need]:
    return s3_needs(call, lookup)


def _ecr(call: Call, _lookup: Lookup, _user: str | None) -> Iterator[Need]:
    """Repositories of the registry that the request names; all of one for DescribeRepositories without names."""
    names = _texts(call.members, "repositoryName", "repositoryNames")
    if not names and call.operation == "DescribeRepositories":
        names = ["*"]
    registry = replace(call, account=call.members.get("registryId") or call.account)
    for name in names:
        yield Need(call.name, registry.arn("ecr", f"repository/{name}"), registry.account)
    if not names:
        yield from _listed(call)


def _sqs(call: Call, _lookup: Lookup, _user: str | None) -> Iterator[Need]:
    """The queue of the request's QueueUrl, in the account and the region that it says."""
    url = call.members.get("QueueUrl")
    found = queue_parts(url) if isinstance(url, str) else None
    if found is None:
        yield from _listed(call)
        return
    region, account, name = found
    arn = f"arn:{call.partition}:sqs:{region or call.region}:{account}:{name}"
    for action in _ACTIONS.get(call.name, (call.operation,)):
        yield Need(f"sqs:{action}", arn, account_of(arn) or call.account)


def _dynamodb(call: Call, _lookup: Lookup, _user: str | None) -> Iterator[Need]:
    """Batches and transactions name their tables inside."""
    found = list(_dynamodb_items(call))
    for action, table in dict.fromkeys(found):
        arn = table if table.startswith("arn:") else call.arn("dynamodb", f"table/{table}")
        yield Need(f"dynamodb:{action}", arn, account_of(arn) or call.account)
    if not found:
        yield from _listed(call)


def _dynamodb_items(call: Call) -> Iterator[tuple[str, str]]:
    if call.operation in ("BatchGetItem", "BatchWriteItem"):
        yield from ((call.operation, str(table)) for table in call.members.get("RequestItems") or {})
    elif call.operation.startswith("Transact"):
        for item in call.members.get("TransactItems") or ():
            yield from ((_ITEM_ACTIONS[key], str(part.get("TableName"))) for key, part in item.items() if part)


def _apigateway(call: Call, _lookup: Lookup, _user: str | None) -> Iterator[Need]:
    """API Gateway's actions are the methods of HTTP; the members do not tell the path."""
    names = {"Create": "POST", "Delete": "DELETE", "Get": "GET", "Update": "PATCH", "Put": "PUT", "Import": "POST"}
    method = next((method for word, method in names.items() if call.operation.startswith(word)), "POST")
    yield Need(f"apigateway:{method}", NO_RESOURCE, call.account)


OWN: Mapping[str, Callable[[Call, Lookup, str | None], Iterator[Need]]] = {
    "s3": _s3,
    "lambda": _lambda,
    "logs": _logs,
    "cloudwatch": _cloudwatch,
    "iam": _iam,
    "sts": _sts,
    "ecr": _ecr,
    "sqs": _sqs,
    "dynamodb": _dynamodb,
    "apigateway": _apigateway,
}


def _listed(call: Call, more: Sequence[str] = ()) -> Iterator[Need]:
    """From the list of AWS: a question for each resource that the members name."""
    for name in _ACTIONS.get(call.name, (call.operation,)):
        action = find_action(call.prefix, name)
        found = list(dict.fromkeys(_arns(call, action, more))) if action else []
        for arn in found or [NO_RESOURCE]:
            yield Need(f"{call.prefix}:{name}", arn, account_of(arn) or call.account)


def _arns(call: Call, action: Action, more: Sequence[str]) -> Iterator[str]:
    """The ARNs in the members that have a form of the action's, and the forms that names in the members fill."""
    given = [
        text for value in call.members.values() for text in _list(value)
        if text.startswith("arn:") and len(text) <= MAX_ARN_CHARACTERS
    ]  # fmt: skip
    for kind in action.resources:
        yield from (arn for arn in given if kind.pattern.fullmatch(arn))
        yield from _filled(call, kind, more)


def _filled(call: Call, kind: ResourceType, more: Sequence[str]) -> Iterator[str]:
    known = {"Partition": call.partition, "Region": call.region, "Account": call.account}
    for variable in kind.variables[:-1]:
        values = _named(call, variable, ())
        if len(values) != 1:
            return
        known[variable] = values[0]
    last = kind.variables[-1:]
    for value in _named(call, last[0], more) if last else ():
        if not value.startswith("arn:"):
            name = value.lower() if call.prefix == "sagemaker" else value  # as SageMaker writes its ARNs
            yield fill(kind.arn, {**known, last[0]: name})


def _named(call: Call, variable: str, more: Sequence[str]) -> list[str]:
    """The values of the member that has the name of an ARN's variable."""
    members = {member.lower(): value for member, value in call.members.items()}
    name = variable.removesuffix("WithPath").lower()
    noun = name.removesuffix("name").removesuffix("id")
    short = ["name"] if noun and noun in call.operation.lower() else []
    for candidate in (name, f"{name}s", noun, *(word.lower() for word in more), *short):
        if found := _list(members.get(candidate)):
            return found
    return []


def _texts(members: Mapping[str, Any], *names: str) -> list[str]:
    """The texts of the first of the members that there is."""
    return next((found for name in names if (found := _list(members.get(name)))), [])


def _list(value: Any) -> list[str]:
    if isinstance(value, str):
        return [value]
    return [item for item in value if isinstance(item, str)] if isinstance(value, list | tuple) else []

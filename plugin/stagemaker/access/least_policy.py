"""The smallest policy that allows what a principal was seen to ask. Pure.

Sources: "Grammar of the IAM JSON policy language" and "Variables" (`${*}`, `${?}`, `${$}`) of the IAM user guide,
https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_elements.html, and for the condition keys the
Service Authorization Reference, https://docs.aws.amazon.com/service-authorization/latest/reference/.
"""

import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from stagemaker.access.match import ARN_FIELDS, read_wildcards, runs_fit
from stagemaker.access.policy import VARIABLES_VERSION
from stagemaker.access.request import Context

MAX_SIBLINGS = 10  # (ours) with more folders side by side their parent is granted: IAM takes 10,240 characters
# The condition keys that narrow an action, of those that a run can know.
_CONDITION_KEYS: Mapping[str, tuple[str, ...]] = {
    "iam:passrole": ("iam:PassedToService",),
    "cloudwatch:putmetricdata": ("cloudwatch:namespace",),
    "s3:listbucket": ("s3:prefix",),
    "s3:listbucketversions": ("s3:prefix",),
}
_ALL: Mapping[str, str] = {  # what stands for all resources, of actions that are about all of them without a name
    "ecr:describerepositories": ":repository/*",
    "cloudwatch:describealarms": ":alarm:*",
    "cloudwatch:describealarmhistory": ":alarm:*",
    "cloudwatch:listalarmmuterules": ":alarm:*",
}
_BUCKET = re.compile("arn:[^:]+:s3:::")
_LOG_STREAM = ":log-stream:"
_SEPARATORS = re.compile("([/:])")
_NO_NAMES = ("", "*", "/", ":")  # among the parts of a text that was split at them
_SPECIAL = re.compile(r"[*?$]")
_VARIABLE = re.compile(r"\$\{[^{}]*\}")

type Conditions = tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class Asked:
    """A kind of call, as far as a statement tells calls apart. `resource` and the values of `conditions` are texts of a
    policy: an object in S3 stands for its folder, and a log stream for its group."""

    action: str
    resource: str
    conditions: Conditions = ()


@dataclass(frozen=True)
class Use:
    """How often it was asked. `because` is the operation that asked first; `last_s` is in epoch seconds; `refusal` is
    AWS's sentence about the last of the calls, if the policies do not allow them."""

    asked: Asked
    because: str
    count: int
    last_s: float
    refusal: str = ""


@dataclass(frozen=True)
class NeededStatement:
    """A statement of the policy, and the calls that need it."""

    sid: str
    actions: tuple[str, ...]
    resources: tuple[str, ...]
    conditions: Mapping[str, tuple[str, ...]]  # the values of each key
    because: tuple[str, ...]
    count: int
    last_s: float

    def document(self) -> dict[str, Any]:
        """As it stands in a policy."""
        made: dict[str, Any] = {
            "Sid": self.sid, "Effect": "Allow", "Action": list(self.actions), "Resource": _one_or_all(self.resources),
        }  # fmt: skip
        for key, values in self.conditions.items():
            operator = "StringLike" if any(_has_wildcard(value) for value in values) else "StringEquals"
            made.setdefault("Condition", {}).setdefault(operator, {})[key] = _one_or_all(values)
        return made


def kind_of(action: str, resource_arn: str, context: Context) -> Asked:
    """What a call is counted as."""
    keys = _CONDITION_KEYS.get(action.lower(), ())
    found = ((key, context.get(key.lower())) for key in keys)
    conditions = tuple((key, _literal(value)) for key, value in found if isinstance(value, str) and value)
    return Asked(action, _pattern(action, resource_arn), conditions)


def least_policy(uses: Iterable[Use], groups: Sequence[str] = ()) -> tuple[NeededStatement, ...]:
    """The statements, sorted by their actions. Each of them is needed by one of the uses.

    `groups` are patterns such as `train-*`: a part of a name that fits one is replaced by it, where a run makes names
    that the next run does not."""
    by_target: dict[tuple[str, str], list[Use]] = defaultdict(list)
    for use in uses:
        asked = _grouped(use.asked, [(group, read_wildcards(group)) for group in groups])
        by_target[asked.action, asked.resource].append(replace(use, asked=asked))
    by_conditions: dict[tuple[str, Conditions], list[tuple[str, list[Use]]]] = defaultdict(list)
    for (action, resource), asking in by_target.items():
        by_conditions[action, _common_conditions(asking)].append((resource, asking))
    by_resources: dict[tuple[tuple[str, ...], Conditions], dict[str, list[Use]]] = defaultdict(dict)
    for (action, conditions), targets in by_conditions.items():
        resources = _without_siblings(resource for resource, _ in targets)
        by_resources[resources, conditions][action] = [use for _, asking in targets for use in asking]
    statements = [_statement(*key, asking) for key, asking in by_resources.items()]
    return _with_sids(sorted(statements, key=lambda one: (one.actions, one.resources)))


def document_of(statements: Iterable[NeededStatement]) -> dict[str, Any]:
    """The policy of these statements."""
    return {"Version": VARIABLES_VERSION, "Statement": [one.document() for one in statements]}


def with_placeholders(document: Mapping[str, Any], account: str) -> dict[str, Any]:
    """The policy as a template of Terraform's `templatefile`: `${account}` and `${region}` stand for the account and
    for the region that most ARNs name, also within names. Variables of IAM are escaped as `$${...}`."""
    regions = Counter(arn.split(":")[3] for arn in _arns(document) if arn.count(":") >= ARN_FIELDS - 1)
    del regions[""]
    region = regions.most_common(1)[0][0] if regions else None

    def written(value: Any) -> Any:
        if isinstance(value, list):
            return [written(one) for one in value]
        if isinstance(value, dict):
            return {key: written(one) for key, one in value.items()}
        text = str(value).replace("${", "$${").replace(account, "${account}")
        return text.replace(region, "${region}") if region else text

    statements = [
        {key: written(value) if key in ("Resource", "Condition") else value for key, value in statement.items()}
        for statement in document["Statement"]
    ]
    return {**document, "Statement": statements}


def _pattern(action: str, arn: str) -> str:
    """The resource of a statement for the calls of this kind. A wildcard in a name that a caller chose is a character:
    nobody widens the policy by asking for a strange name."""
    if arn == "*":
        return arn
    if _BUCKET.match(arn):
        bucket, slash, key = arn.partition("/")
        folder, in_folder, name = key.rpartition("/")
        return f"{_literal(bucket)}{slash}{_literal(folder)}{in_folder}{'*' if in_folder else _literal(name)}"
    group, stream, _ = arn.partition(_LOG_STREAM)
    if stream:
        return f"{_literal(group)}{stream}*"
    if arn.endswith(_ALL.get(action.lower(), ())):
        return f"{_literal(arn[:-1])}*"
    return _literal(arn)


def _literal(text: str) -> str:
    """As a policy writes these very characters."""
    return _SPECIAL.sub(lambda found: f"${{{found[0]}}}", text)


def _has_wildcard(text: str) -> bool:
    return bool(set("*?") & set(_VARIABLE.sub("", text)))


def _grouped(asked: Asked, groups: Sequence[tuple[str, Any]]) -> Asked:
    """With the parts of its names that fit a group replaced by the group."""
    if not groups:
        return asked
    *head, name = asked.resource.split(":", ARN_FIELDS - 1)
    conditions = tuple((key, _group_parts(value, groups)) for key, value in asked.conditions)
    return Asked(asked.action, ":".join([*head, _group_parts(name, groups)]), conditions)


def _group_parts(text: str, groups: Sequence[tuple[str, Any]]) -> str:
    return "".join(
        next((group for group, runs in groups if part not in _NO_NAMES and runs_fit(runs, part)), part)
        for part in _SEPARATORS.split(text)
    )


def _common_conditions(uses: Sequence[Use]) -> Conditions:
    """The values that were seen of each key that every use has: one condition allows all of them."""
    seen: dict[str, set[str]] = defaultdict(set)
    for use in uses:
        for key, value in use.asked.conditions:
            seen[key].add(value)
    in_all = [key for key in seen if all(key in dict(use.asked.conditions) for use in uses)]
    return tuple(
        (key, value)
        for key in sorted(in_all)
        for value in sorted(_folded(seen[key], 1) if key == "s3:prefix" else seen[key])
    )


def _without_siblings(resources: Iterable[str]) -> tuple[str, ...]:
    found = set(resources)
    in_s3 = {arn for arn in found if _BUCKET.match(arn)}
    return tuple(sorted((found - in_s3) | _folded(in_s3, 2)))  # never a whole bucket


def _folded(paths: set[str], least_depth: int) -> set[str]:
    """The paths of S3, where more than MAX_SIBLINGS lie side by side in a folder the folder instead, without those that
    another one covers. A folder has at least `least_depth` parts."""
    found = set(paths)
    for depth in range(max((path.count("/") for path in found), default=0), least_depth - 1, -1):
        children: dict[str, set[str]] = defaultdict(set)
        for path in found:
            parts = path.split("/")
            if len(parts) > depth:
                children["/".join(parts[:depth])].add(parts[depth])
        for parent, names in children.items():
            if len(names - {"*", ""}) > MAX_SIBLINGS:
                found = {path for path in found if not path.startswith(f"{parent}/")} | {f"{parent}/*"}
    folders = [path for path in found if path.endswith("/*")]
    return found - {path for path in found for folder in folders if path != folder and path.startswith(folder[:-1])}


def _statement(
    resources: tuple[str, ...], conditions: Conditions, asking: Mapping[str, Sequence[Use]]
) -> NeededStatement:
    values: dict[str, tuple[str, ...]] = {}
    for key, value in conditions:
        values[key] = (*values.get(key, ()), value)
    uses = [use for group in asking.values() for use in group]
    return NeededStatement(
        sid="",
        actions=tuple(sorted(asking)),
        resources=resources,
        conditions=values,
        because=tuple(sorted({use.because for use in uses})),
        count=sum(use.count for use in uses),
        last_s=max(use.last_s for use in uses),
    )


def _with_sids(statements: Sequence[NeededStatement]) -> tuple[NeededStatement, ...]:
    """Each with a Sid of its own: letters and digits only, made of its first action."""
    names: Counter[str] = Counter()
    made = []
    for one in statements:
        service, _, action = one.actions[0].partition(":")
        more = f"And{len(one.actions) - 1}More" if len(one.actions) > 1 else ""
        name = "".join(word.capitalize() for word in re.findall("[a-z0-9]+", service)) + action + more
        names[name] += 1
        made.append(replace(one, sid=name if names[name] == 1 else f"{name}{names[name]}"))
    return tuple(made)


def _one_or_all(values: tuple[str, ...]) -> str | list[str]:
    return values[0] if len(values) == 1 else list(values)


def _arns(document: Mapping[str, Any]) -> list[str]:
    found: list[str] = []
    for statement in document["Statement"]:
        resource = statement["Resource"]
        found += [resource] if isinstance(resource, str) else resource
    return found

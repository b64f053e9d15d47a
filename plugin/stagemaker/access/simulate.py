"""IAM's policy simulator: the members of a request and the policies become the members of the answer.

Source: SimulatePrincipalPolicy, SimulateCustomPolicy and their data types in
https://docs.aws.amazon.com/IAM/latest/APIReference/. The differences: a condition key has a value only when
ContextEntries has it; EvalDecisionDetails and OrganizationsDecisionDetail are left out, and so is the check of
ResourceHandlingOption.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from stagemaker.access.conditions import read_bytes, read_date, read_network, read_number
from stagemaker.access.evaluate import Decision, Match, Outcome, Policies, Source, decide
from stagemaker.access.match import ARN_FIELDS
from stagemaker.access.policy import Policy, PolicyError, read_policy
from stagemaker.access.positions import Position, statement_positions
from stagemaker.access.request import AccessRequest, Context, Principal, read_context
from stagemaker.core.errors import ApiError
from stagemaker.core.numbers import whole_number

DEFAULT_ITEMS = 100
EVERYTHING = "*"
NO_CALLER = "arn:aws:iam::000000000000:user/simulated"  # only without a resource policy, where nothing looks at it
# ContextKeyType, without "List", and how its values are read; what cannot be read is None.
_TYPES: Mapping[str, Callable[[str], object | None]] = {
    "string": lambda text: text,
    "numeric": read_number,
    "boolean": lambda text: text if text.lower() in ("true", "false") else None,
    "ip": read_network,
    "binary": read_bytes,
    "date": read_date,
}


@dataclass(frozen=True)
class SourcePolicy:
    """A policy of the simulation: SourcePolicyId and SourcePolicyType of a matched statement, and its JSON text."""

    id: str
    type: str  # user, group, role, aws-managed, user-managed, resource, none
    text: str


@dataclass(frozen=True)
class _Simulation:
    """What all questions of a request have in common."""

    caller: str
    sources: Mapping[Source, Sequence[SourcePolicy]]
    policies: Policies
    context: Context
    resource_owner: str  # of a resource whose ARN names no account
    missing: list[str]  # condition keys that the policies name and the context lacks


def simulate_custom_policy(request: Mapping[str, Any]) -> dict[str, Any]:
    """The answer of SimulateCustomPolicy. Raises ApiError with the code InvalidInput."""
    return _simulate(request, _inputs(request, "PolicyInputList"), None, request.get("CallerArn"))


def simulate_principal_policy(
    request: Mapping[str, Any], attached: Sequence[SourcePolicy], boundary: SourcePolicy | None = None
) -> dict[str, Any]:
    """The answer of SimulatePrincipalPolicy. Raises ApiError with the code InvalidInput.

    `attached` are the policies of the user, group or role of PolicySourceArn, and of a user's groups; `boundary` is its
    permissions boundary, which PermissionsBoundaryPolicyInputList replaces.
    """
    source = request["PolicySourceArn"]
    caller = request.get("CallerArn") or (source if _is_user(source) else None)
    return _simulate(request, [*attached, *_inputs(request, "PolicyInputList")], boundary, caller)


def _simulate(
    request: Mapping[str, Any], identity: Sequence[SourcePolicy], boundary: SourcePolicy | None, caller: str | None
) -> dict[str, Any]:
    _check(request, caller)
    boundaries = _inputs(request, "PermissionsBoundaryPolicyInputList") or ([boundary] if boundary else [])
    text = request.get("ResourcePolicy")
    resource = [SourcePolicy("ResourcePolicy", "resource", text)] if text else []
    sources = {Source.IDENTITY: identity, Source.BOUNDARY: boundaries, Source.RESOURCE: resource}
    simulation = _prepare(request, sources, caller or NO_CALLER)
    arns = request.get("ResourceArns") or [EVERYTHING]
    questions = [(action, arn) for action in request["ActionNames"] for arn in arns]
    start, end = _page(request, len(questions))
    answer: dict[str, Any] = {
        "EvaluationResults": [_result(simulation, action, arn) for action, arn in questions[start:end]],
        "IsTruncated": end < len(questions),
    }
    return answer | ({"Marker": str(end)} if end < len(questions) else {})


def _check(request: Mapping[str, Any], caller: str | None) -> None:
    for action in request["ActionNames"]:
        service, colon, name = action.partition(":")
        if not service or not colon or not name or EVERYTHING in action or "?" in action:
            raise _invalid(f"'{action}' in ActionNames is not the name of one action, such as iam:CreateUser")
    if caller is not None and not _is_user(caller):
        raise _invalid("CallerArn must be the ARN of an IAM user")
    if caller is None and request.get("ResourcePolicy"):
        raise _invalid("A simulation with ResourcePolicy needs CallerArn, the ARN of an IAM user")
    if len(request.get("PermissionsBoundaryPolicyInputList") or ()) > 1:
        raise _invalid("PermissionsBoundaryPolicyInputList takes one policy only")


def _prepare(request: Mapping[str, Any], sources: Mapping[Source, Sequence[SourcePolicy]], caller: str) -> _Simulation:
    read = {source: tuple(_read(policy) for policy in policies) for source, policies in sources.items()}
    policies = Policies(
        identity=read[Source.IDENTITY],
        boundary=next(iter(read[Source.BOUNDARY]), None),
        resource=next(iter(read[Source.RESOURCE]), None),
    )
    context = _context(request.get("ContextEntries") or ())
    wanted = {key.lower(): key for group in read.values() for policy in group for key in sorted(policy.context_keys)}
    missing = sorted(written for key, written in wanted.items() if key not in context)
    owner = _account(request.get("ResourceOwner") or caller)
    return _Simulation(caller, sources, policies, context, owner, missing)


def _result(simulation: _Simulation, action: str, arn: str) -> dict[str, Any]:
    """One EvaluationResult. The details of a named resource are repeated in ResourceSpecificResults, as AWS does."""
    question = _request(simulation, action, arn)
    decision = decide(question, simulation.policies)
    details = _details(simulation, question, decision)
    result = {"EvalActionName": action, "EvalResourceName": arn, "EvalDecision": decision.outcome.value, **details}
    if arn == EVERYTHING:
        return {**result, "MissingContextValues": simulation.missing}
    specific = {"EvalResourceName": arn, "EvalResourceDecision": decision.outcome.value, **details}
    return {**result, "ResourceSpecificResults": [{**specific, "MissingContextValues": simulation.missing}]}


def _request(simulation: _Simulation, action: str, arn: str) -> AccessRequest:
    """Without a resource policy the identity's account alone decides, whoever owns the resource."""
    principal = Principal(simulation.caller)
    owner = simulation.resource_owner if simulation.policies.resource else principal.account
    if simulation.policies.resource and arn.count(":") >= ARN_FIELDS - 1:
        owner = arn.split(":")[4] or owner
    return AccessRequest(principal, action, arn, owner or "", simulation.context)


def _details(simulation: _Simulation, question: AccessRequest, decision: Decision) -> dict[str, Any]:
    """The members that EvaluationResult and ResourceSpecificResult share."""
    details: dict[str, Any] = {"MatchedStatements": [_matched(simulation.sources, match) for match in decision.matches]}
    if simulation.policies.boundary is not None:
        allowed = _allows(simulation.policies.boundary, question)
        details["PermissionsBoundaryDecisionDetail"] = {"AllowedByPermissionsBoundary": allowed}
    return details


def _allows(boundary: Policy, question: AccessRequest) -> bool:
    """Whether the boundary has an Allow for the question and no Deny, as if it were the only policy."""
    alone = replace(question, resource_account=question.principal.account or "")
    return decide(alone, Policies(identity=(boundary,))).outcome is Outcome.ALLOWED


def _matched(sources: Mapping[Source, Sequence[SourcePolicy]], match: Match) -> dict[str, Any]:
    policy = sources[match.source][match.index]
    start, end = statement_positions(policy.text)[match.statement.index]
    return {
        "SourcePolicyId": policy.id,
        "SourcePolicyType": policy.type,
        "StartPosition": _members(start),
        "EndPosition": _members(end),
    }


def _members(position: Position) -> dict[str, int]:
    return {"Line": position.line, "Column": position.column}


def _inputs(request: Mapping[str, Any], member: str) -> list[SourcePolicy]:
    """The policies that a request brings, named after their member, from 1."""
    texts = request.get(member) or ()
    return [SourcePolicy(f"{member}.{number}", "none", text) for number, text in enumerate(texts, start=1)]


def _read(policy: SourcePolicy) -> Policy:
    try:
        return read_policy(policy.text)
    except PolicyError as error:
        raise _invalid(f"{policy.id}: {error}") from None


def _context(entries: Sequence[Mapping[str, Any]]) -> Context:
    values: dict[str, str | Sequence[str]] = {}
    for entry in entries:
        name, texts = entry.get("ContextKeyName"), entry.get("ContextKeyValues") or []
        if not name:
            raise _invalid("An entry of ContextEntries has no ContextKeyName")
        type_name = entry.get("ContextKeyType", "string")
        read = _TYPES.get(type_name.removesuffix("List"))
        if read is None or any(read(text) is None for text in texts):
            raise _invalid(f"The values of '{name}' in ContextEntries are not of the type {type_name}")
        values[name] = texts[0] if len(texts) == 1 and not type_name.endswith("List") else texts
    return read_context(values)


def _page(request: Mapping[str, Any], total: int) -> tuple[int, int]:
    """Which results to give: Marker is the number of the first one."""
    start = whole_number(request.get("Marker") or "0")
    if start is None or start > total:
        raise _invalid("Marker is not the Marker of an answer")
    return start, min(start + int(request.get("MaxItems") or DEFAULT_ITEMS), total)


def _account(text: str) -> str:
    """Of an account's number or of an ARN."""
    return text.split(":")[4] if text.count(":") >= ARN_FIELDS - 1 else text


def _is_user(arn: str) -> bool:
    fields = arn.split(":", ARN_FIELDS - 1)
    return len(fields) == ARN_FIELDS and fields[2] == "iam" and fields[-1].startswith("user/")


def _invalid(message: str) -> ApiError:
    return ApiError("InvalidInput", message)

"""The decision on a request. It reads top to bottom like the flow chart of AWS.

Sources, in the IAM user guide: "Policy evaluation logic",
https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_evaluation-logic_policy-eval-denyallow.html,
"Cross-account policy evaluation logic",
https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_evaluation-logic-cross-account.html, and for the
words "direct" and "role" below the table "Resource-based policies and implicit denies in other policy types". Of the
policies of VPC endpoints: "Control access to VPC endpoints using endpoint policies",
https://docs.aws.amazon.com/vpc/latest/privatelink/vpc-endpoints-access.html.
Service and resource control policies and federated users are not known here.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum, IntEnum

from stagemaker.access.policy import Policy, Statement
from stagemaker.access.request import AccessRequest, Principal


class Outcome(Enum):
    """The decision, in the words of IAM's policy simulator."""

    ALLOWED = "allowed"
    EXPLICIT_DENY = "explicitDeny"
    IMPLICIT_DENY = "implicitDeny"


class Source(Enum):
    """Which of the policies, in the words of AWS's messages about denied access."""

    IDENTITY = "identity-based"
    BOUNDARY = "permissions boundary"
    SESSION = "session"
    RESOURCE = "resource-based"
    TRUST = "role trust"
    ENDPOINT = "VPC endpoint"


class Grant(IntEnum):
    """How closely a resource-based policy names the principal. The closest one counts."""

    NONE = 0
    ACCOUNT = 1  # only lets the account's own policies decide
    ROLE = 2  # grants, within the permissions boundary and the session policy
    DIRECT = 3  # the user, the session, the service or everyone: grants, and nothing limits it


@dataclass(frozen=True)
class Policies:
    """The policies that apply to a request. None and an empty tuple: there is none.

    `identity` holds inline and managed policies, of the user and of the groups, or of the role. `resource` is the
    policy of the bucket, repository or function; `trust` that of the role that is to be assumed, which must allow it;
    `endpoint` that of the VPC endpoint that the request goes through, which must allow it whatever the others grant.
    """

    identity: tuple[Policy, ...] = ()
    boundary: Policy | None = None
    session: Policy | None = None
    resource: Policy | None = None
    trust: Policy | None = None
    endpoint: Policy | None = None


@dataclass(frozen=True)
class Match:
    """A statement that applies to the request; `index` is that of its policy among those of the source."""

    source: Source
    index: int
    statement: Statement
    grant: Grant = Grant.NONE


@dataclass(frozen=True)
class Decision:
    """The outcome, the statements that led to it, and for an implicit deny the policies that would have to allow."""

    outcome: Outcome
    matches: tuple[Match, ...]
    lacking: tuple[Source, ...]


def decide(request: AccessRequest, policies: Policies) -> Decision:
    """Whether the request is allowed, and why. Pure: the context of the request holds the time and the address."""
    matches = list(_matches(request, policies))
    denies = tuple(match for match in matches if not match.statement.allows)
    if denies:
        return Decision(Outcome.EXPLICIT_DENY, denies, ())
    grant = max((match.grant for match in matches), default=Grant.NONE)
    lacking = tuple(_lacking(request, policies, {match.source for match in matches}, grant))
    if lacking:
        return Decision(Outcome.IMPLICIT_DENY, (), lacking)
    return Decision(Outcome.ALLOWED, tuple(matches), ())


def _lacking(request: AccessRequest, policies: Policies, allowing: set[Source], grant: Grant) -> Iterator[Source]:
    """The policies that would have to allow the request and do not."""
    principal, granting = request.principal, Source.RESOURCE if policies.trust is None else Source.TRUST
    same_account = principal.account == request.resource_account
    if policies.endpoint is not None and Source.ENDPOINT not in allowing:
        yield Source.ENDPOINT
    if principal.is_root and policies.trust is not None:  # the root user cannot assume a role
        yield Source.IDENTITY
        return
    if grant is Grant.DIRECT and (same_account or principal.is_service):
        return
    if grant is Grant.NONE and (not same_account or policies.trust is not None):
        yield granting
    if principal.is_service:  # it has no policies of its own
        return
    granted_to_role = same_account and grant is Grant.ROLE
    if Source.IDENTITY not in allowing and not granted_to_role and not principal.is_root:
        yield Source.IDENTITY
    if policies.boundary is not None and Source.BOUNDARY not in allowing:
        yield Source.BOUNDARY
    if policies.session is not None and Source.SESSION not in allowing:
        yield Source.SESSION


def _matches(request: AccessRequest, policies: Policies) -> Iterator[Match]:
    """The statements that apply, of all policies."""
    for index, policy in enumerate(policies.identity):
        yield from _attached(request, Source.IDENTITY, index, policy)
    for source, limit in ((Source.BOUNDARY, policies.boundary), (Source.SESSION, policies.session)):
        if limit is not None:
            yield from _attached(request, source, 0, limit)
    for source, granting in ((Source.RESOURCE, policies.resource), (Source.TRUST, policies.trust)):
        if granting is not None:
            yield from _granting(request, source, granting, has_boundary=policies.boundary is not None)
    if policies.endpoint is not None:
        yield from _passing(request, policies.endpoint, has_boundary=policies.boundary is not None)


def _attached(request: AccessRequest, source: Source, index: int, policy: Policy) -> Iterator[Match]:
    """The statements that apply, of a policy of the principal; there, one with a Principal element means nothing."""
    for statement in _applying(request, policy):
        if statement.principals is None:
            yield Match(source, index, statement)


def _granting(request: AccessRequest, source: Source, policy: Policy, *, has_boundary: bool) -> Iterator[Match]:
    """The statements of a resource-based policy that apply and are about this principal."""
    for statement in _applying(request, policy):
        grant = _grant(statement, request.principal, has_boundary)
        if grant is not Grant.NONE:
            yield Match(source, 0, statement, grant)


def _passing(request: AccessRequest, policy: Policy, *, has_boundary: bool) -> Iterator[Match]:
    """The statements of an endpoint's policy that apply and are about this principal. They grant nothing themselves.
    One that allows an account allows its root user only.

    AWS source: "Principals for gateway endpoints",
    https://docs.aws.amazon.com/vpc/latest/privatelink/vpc-endpoints-access.html."""
    for match in _granting(request, Source.ENDPOINT, policy, has_boundary=has_boundary):
        if match.grant is not Grant.ACCOUNT or not match.statement.allows:
            yield Match(Source.ENDPOINT, 0, match.statement)


def _grant(statement: Statement, principal: Principal, has_boundary: bool) -> Grant:
    """How closely the statement names the principal. A Deny with NotPrincipal names everyone whom it does not except,
    and every principal with a permissions boundary."""
    named = statement.principals
    if named is None:
        return Grant.NONE
    if statement.is_not_principal:
        return Grant.DIRECT if has_boundary or not named.excepts(principal) else Grant.NONE
    if named.everyone or principal.arn in (named.services if principal.is_service else named.arns):
        return Grant.DIRECT
    if principal.role_arn in named.arns:
        return Grant.ROLE
    return Grant.ACCOUNT if principal.account_arn in named.arns else Grant.NONE


def _applying(request: AccessRequest, policy: Policy) -> list[Statement]:
    """The statements about the action and the resource whose conditions hold."""
    return policy.applying(request.action.lower(), request.resource_arn, request.context)

"""STS: temporary credentials, and who their holder is.

LocalStack's checks no role and no duration, gives every caller of GetSessionToken and GetFederationToken the same
example key, and keeps no policy of a session.
"""

import base64
import re
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from localstack import config

from stagemaker.access.callers import Caller, root_of
from stagemaker.access.policy import PolicyError, read_policy
from stagemaker.access.request import Principal
from stagemaker.access.sessions import SUBNET_PROVIDER, Session, Sessions
from stagemaker.adapters.identity_keys import iam_backend
from stagemaker.api.operation import Request, Response, Service, by_arn, every, service
from stagemaker.api.unsupported import refuse
from stagemaker.core.errors import ApiError
from stagemaker.core.refs import Scope

DEFAULT_S, CHAINED_S = 3600, 3600  # of AssumeRole; the most of a role that a role's session assumes
SESSION_TOKEN_S, ROOT_TOKEN_S = 43_200, 3600  # of GetSessionToken and GetFederationToken
POLICY_CHARACTERS = 2048  # of all session policies together
_ROLE = re.compile(r"arn:(aws[a-z-]*):iam::([0-9]{12}):role/(?:[!-~]+/)?([\w+=,.@-]{1,64})", re.ASCII)
_MFA = {"SerialNumber": "multi-factor authentication", "TokenCode": "multi-factor authentication"}


class Sts:
    """Its operations. Thread-safe. `caller` gives who sent the request, `make_bytes` so many random bytes; a role that
    there is not can be assumed unless `is_strict`, as LocalStack has it."""

    def __init__(
        self,
        sessions: Sessions,
        caller: Callable[[], Caller],
        clock: Callable[[], float],
        make_bytes: Callable[[int], bytes],
        *,
        is_strict: bool,
    ) -> None:
        self._sessions, self._caller, self._clock = sessions, caller, clock
        self._make_bytes, self._is_strict = make_bytes, is_strict

    def service(self) -> Service:
        """The operations that are ours; LocalStack answers the others."""
        return service(
            "sts",
            "ValidationError",
            ("GetCallerIdentity", self.get_caller_identity, every),
            ("AssumeRole", self.assume_role, by_arn("RoleArn")),
            ("GetSessionToken", self.get_session_token, every),
            ("GetFederationToken", self.get_federation_token, _federated_user),
        )

    def get_caller_identity(self, scope: Scope, _request: Request) -> Response:
        """Who signed the request."""
        caller = self._known_caller(scope)
        return {"UserId": caller.user_id, "Account": caller.principal.account, "Arn": caller.principal.arn}

    def assume_role(self, scope: Scope, request: Request) -> Response:
        """A session of the role, with its rights, or less by policies that come with the request. It is in the subnet
        of the session that asks, or in the one that the stage itself names."""
        caller, arn, name = self._known_caller(scope), request["RoleArn"], request["RoleSessionName"]
        refuse(request, _MFA if caller.is_stage else {**_MFA, "ProvidedContexts": "contexts of other providers"})
        found = _ROLE.fullmatch(arn)
        if found is None:
            raise ApiError("ValidationError", f"{arn} is invalid")
        partition, account, role_name = found.groups()
        role = _role(account, partition, arn)
        if role is None and self._is_strict:
            raise _not_allowed(caller, arn)
        parent = self._sessions.find(caller.access_key_id)
        duration_s = int(request.get("DurationSeconds", DEFAULT_S))
        if not caller.is_stage:  # LocalStack asks for 12 hours for a function
            _check_duration(duration_s, role, is_chained=parent is not None and parent.is_of_role)
        tags, transitive = _tags(request, parent)
        policies = _policies(request, account, partition)
        key = self._key_id(account)
        role_id = role.id if role is not None else _made_id(account, "AROA", 21)
        session_arn = f"arn:{partition}:sts::{account}:assumed-role/{role_name}/{name}"
        made = Caller(
            Principal(session_arn, arn),
            key,
            f"{role_id}:{name}",
            session_policies=policies,
            has_session_policy=bool(policies),
            session_tags=tags,
            subnet=_subnet(request) if caller.is_stage else caller.subnet,
        )
        credentials = self._issue(made, role_id if role is not None else "", duration_s, transitive)
        user = {"AssumedRoleId": made.user_id, "Arn": session_arn}
        answer = {"Credentials": credentials, "AssumedRoleUser": user, **_packed_size(policies, tags)}
        return answer | ({"SourceIdentity": request["SourceIdentity"]} if "SourceIdentity" in request else {})

    def get_session_token(self, scope: Scope, request: Request) -> Response:
        """Credentials of the same user for a while."""
        refuse(request, _MFA)
        caller = self._long_term_caller(scope, "GetSessionToken")
        key = self._key_id(str(caller.principal.account))
        made = replace(caller, access_key_id=key, is_stage=False)
        return {"Credentials": self._issue(made, _owner_id(caller), _token_duration_s(request, caller))}

    def get_federation_token(self, scope: Scope, request: Request) -> Response:
        """Credentials of a federated user: with the rights that the user and the request's policies have both."""
        caller = self._long_term_caller(scope, "GetFederationToken")
        account, partition = str(caller.principal.account), caller.principal.arn.split(":")[1]
        arn, name = f"arn:{partition}:sts::{account}:federated-user/{request['Name']}", f"{account}:{request['Name']}"
        policies = _policies(request, account, partition)
        tags, _ = _tags(request, None)
        made = Caller(
            Principal(arn),
            self._key_id(account),
            name,
            session_policies=policies,
            has_session_policy=True,
            identity_arn=caller.principal.arn,
            session_tags=tags,
        )
        credentials = self._issue(made, _owner_id(caller), _token_duration_s(request, caller))
        user = {"FederatedUserId": name, "Arn": arn}
        return {"Credentials": credentials, "FederatedUser": user, **_packed_size(policies, tags)}

    def _known_caller(self, scope: Scope) -> Caller:
        """LocalStack takes a request that nobody has signed for one of the account."""
        caller = self._caller()
        return root_of(scope.account, caller.access_key_id) if caller.is_anonymous else caller

    def _long_term_caller(self, scope: Scope, operation: str) -> Caller:
        caller = self._known_caller(scope)
        if self._sessions.find(caller.access_key_id) is not None:
            raise ApiError("AccessDenied", f"Cannot call {operation} with session credentials", 403)
        return caller

    def _key_id(self, account: str) -> str:
        """LocalStack finds the account in it, and takes an id that begins like AWS's only when it is told to."""
        prefix = "ASIA" if config.PARITY_AWS_ACCESS_KEY_ID else "LSIA"
        return _made_id(account, prefix, 20)

    def _issue(self, made: Caller, owner_id: str, duration_s: int, transitive: tuple[str, ...] = ()) -> Response:
        now_s = self._clock()
        secret = base64.b64encode(self._make_bytes(30)).decode()
        token = "FwoGZXIvYXdzE" + base64.b64encode(self._make_bytes(240)).decode()
        expires_s = float(int(now_s) + duration_s)
        caller = replace(made, issued_s=now_s)
        self._sessions.add(Session(made.access_key_id, secret, token, expires_s, caller, owner_id, transitive), now_s)
        return {
            "AccessKeyId": made.access_key_id,
            "SecretAccessKey": secret,
            "SessionToken": token,
            "Expiration": expires_s,
        }


def _made_id(account: str, prefix: str, length: int) -> str:
    """An id in which AWS's account is hidden. Moto is imported when it is needed first."""
    from moto.iam.utils import generate_access_key_id_from_account_id

    return str(generate_access_key_id_from_account_id(account, prefix, length))


def _federated_user(scope: Scope, request: Request) -> tuple[str, ...]:
    return (f"arn:aws:sts::{scope.account}:federated-user/{request['Name']}",)


def _role(account: str, partition: str, arn: str) -> Any:
    """Moto's; None where there is none of that ARN."""
    backend = iam_backend(account, partition)
    return next((role for role in list(backend.roles.values()) if role.arn == arn), None) if backend else None


def _subnet(request: Request) -> str:
    """That the stage names; empty for none."""
    contexts = request.get("ProvidedContexts", ())
    return next((each["ContextAssertion"] for each in contexts if each["ProviderArn"] == SUBNET_PROVIDER), "")


def _not_allowed(caller: Caller, arn: str) -> ApiError:
    sentence = f"User: {caller.principal.arn} is not authorized to perform: sts:AssumeRole on resource: {arn}"
    return ApiError("AccessDenied", sentence, 403)


def _owner_id(caller: Caller) -> str:
    return "" if caller.principal.is_root else caller.user_id


def _check_duration(duration_s: int, role: Any, *, is_chained: bool) -> None:
    if is_chained and duration_s > CHAINED_S:
        message = "The requested DurationSeconds exceeds the 1 hour session limit for roles assumed by role chaining"
        raise ApiError("ValidationError", message)
    if role is not None and duration_s > int(role.max_session_duration or DEFAULT_S):
        message = "The requested DurationSeconds exceeds the MaxSessionDuration set for this role."
        raise ApiError("ValidationError", message)


def _token_duration_s(request: Request, caller: Caller) -> int:
    """Root's credentials end after an hour, whatever was asked for."""
    most_s = ROOT_TOKEN_S if caller.principal.is_root else SESSION_TOKEN_S
    wanted_s = int(request.get("DurationSeconds", most_s))
    return min(wanted_s, ROOT_TOKEN_S) if caller.principal.is_root else wanted_s


def _policies(request: Request, account: str, partition: str) -> tuple[str, ...]:
    """The texts of the request's policies, as they are now."""
    own = [request["Policy"]] if request.get("Policy") else []
    try:
        for text in own:
            read_policy(text)
    except PolicyError as error:
        raise ApiError("MalformedPolicyDocument", f"{error}.") from error
    if len("".join(own)) > POLICY_CHARACTERS:
        size = 100 * len(own[0]) // POLICY_CHARACTERS
        raise ApiError("PackedPolicyTooLarge", f"Packed size of session policies consumes {size}% of allotted space.")
    arns = [each["arn"] for each in request.get("PolicyArns", ())]
    if len(arns) > 10:
        raise ApiError("LimitExceeded", "There can be 10 managed session policies at most.")
    return (*own, *(_managed(arn, account, partition) for arn in arns))


def _managed(arn: str, account: str, partition: str) -> str:
    """The text of a managed policy of the role's account, or of AWS's own."""
    backend = iam_backend(account, partition)
    policy = backend.managed_policies.get(arn) if backend else None
    if policy is None:
        raise ApiError("ValidationError", f"The policy {arn} does not exist in the account {account}.")
    version = policy.default_version_id
    return str(next(each.document for each in policy.versions if each.version_id == version))


def _tags(request: Request, parent: Session | None) -> tuple[tuple[tuple[str, str], ...], tuple[str, ...]]:
    """The session's tags, with those that the caller's session hands on, and the keys that it hands on itself."""
    sent = {tag["Key"]: tag["Value"] for tag in request.get("Tags", ())}
    keys = {key.lower() for key in sent}
    if len(keys) < len(request.get("Tags", ())):
        raise _wrong("Duplicate tag keys found. Please note that Tag keys are case insensitive.")
    inherited = parent.transitive_tags if parent else ()
    if keys & set(inherited):
        raise _wrong(
            "One of the specified transitive tag keys can't be set because it conflicts with a transitive tag key from "
            "the calling session."
        )
    own = tuple(key.lower() for key in request.get("TransitiveTagKeys", ()))
    if not keys.issuperset(own):
        raise _wrong("The specified transitive tag key must be included in the requested tags.")
    handed = {k: v for k, v in parent.caller.session_tags if k.lower() in inherited} if parent else {}
    return tuple({**handed, **sent}.items()), (*inherited, *own)


def _wrong(message: str) -> ApiError:
    return ApiError("InvalidParameterValue", message)


def _packed_size(policies: tuple[str, ...], tags: Mapping[str, str] | tuple[tuple[str, str], ...]) -> Response:
    """(ours) In percent of what is allowed, by the length of the texts: AWS compresses them in an unknown way."""
    length = sum(map(len, policies)) + sum(len(key) + len(value) for key, value in dict(tags).items())
    return {"PackedPolicySize": min(100, max(1, 100 * length // POLICY_CHARACTERS))} if length else {}

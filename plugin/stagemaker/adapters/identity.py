"""Who sent a request: its signature is verified, and its access key looked up, before anything is done for it.

A call that LocalStack makes itself carries a header, and ours are signed with a secret of this process: both are known
for what they are, and nobody else can make one.
"""

import hmac
import logging
import time
from collections.abc import Callable
from contextvars import ContextVar
from dataclasses import replace
from typing import Any

from localstack.aws import handlers
from localstack.aws.api import RequestContext
from localstack.http import Request
from localstack.utils.aws.request_context import extract_access_key_id_from_auth_header

from stagemaker.access.bodies import Body, ChunkedBody
from stagemaker.access.callers import Caller, anonymous, root_of
from stagemaker.access.faults import CredentialsRefused, Fault, credentials_error
from stagemaker.access.keys import Key, check_key
from stagemaker.access.post_form import read_form
from stagemaker.access.sessions import Sessions
from stagemaker.access.signature import (
    UNSIGNED_CHUNKS,
    UNSIGNED_PAYLOAD,
    Claim,
    Sent,
    check_chunks,
    check_headers,
    check_scope,
    check_time,
    is_signed_by,
    payload_hash,
    read_claim,
    sign,
    string_to_sign,
)
from stagemaker.access.signature_v2 import OldClaim, check_expiry, read_address
from stagemaker.access.signature_v2 import is_signed_by as is_signed_by_v2
from stagemaker.access.signature_v2 import string_to_sign as string_to_sign_v2
from stagemaker.adapters.contents import SENT
from stagemaker.adapters.errors import exception
from stagemaker.adapters.identity_keys import Keys
from stagemaker.adapters.requests import regions
from stagemaker.api.http_head import Head
from stagemaker.app import App
from stagemaker.settings import Settings

LOG = logging.getLogger(__name__)
_CALLER: ContextVar[Caller] = ContextVar("caller")
_MEMBER = "stagemaker_caller"
_INSTALLED: "list[Identity]" = []


def caller_of(context: RequestContext) -> Caller:
    """Who sent the request. The handler of `install` has run before."""
    caller: Caller = getattr(context, _MEMBER)
    return caller


def current_caller() -> Caller:
    """Who sent the request that this thread answers."""
    return _CALLER.get()


def install(app: App) -> None:
    """Have every request of an AWS service know its caller, before any other handler of ours."""
    identity = Identity(app.settings, app.secret, Sessions(), time.time)
    _INSTALLED[:] = [identity]

    def handle(chain: Any, context: RequestContext, response: Any) -> None:  # noqa: ARG001 - as LocalStack calls it
        if context.service is not None and context.operation is not None:
            caller = identity.caller(context)
            setattr(context, _MEMBER, caller)
            _CALLER.set(caller)

    handlers.serve_custom_service_request_handlers.handlers.insert(0, handle)


def installed() -> "Identity":
    """That of this process, after `install`."""
    return _INSTALLED[0]


def find_caller(access_key_id: str) -> Caller | None:
    """The owner of an access key that works now, or None."""
    return installed().owner(access_key_id)


class Identity:
    """Knows who signed a request. Thread-safe. `secret` is the one that the stage's own clients sign with."""

    def __init__(self, settings: Settings, secret: str, sessions: Sessions, clock: Callable[[], float]) -> None:
        self.sessions, self.is_strict = sessions, settings.iam == "strict"
        self._secret, self._mode, self._clock = secret, settings.iam, clock
        self._keys = Keys(settings.root_keys, sessions, secret)

    def caller(self, context: RequestContext) -> Caller:
        """The sender of a request, whose account and region are the request's from now on. In the mode `strict` an
        error of its protocol for one who is nobody."""
        caller, claim = self._caller(context)
        caller = replace(caller, source_ip=context.request.remote_addr or caller.source_ip)
        if account := caller.principal.account if not caller.is_anonymous else None:
            context.account_id = account
        if claim is not None and claim.in_query:
            context.region = claim.region
        context.request.headers["x-moto-account-id"] = context.account_id
        return caller

    def owner(self, access_key_id: str) -> Caller | None:
        """Of a key that works now; None for any other."""
        key = self._keys.find(access_key_id)
        has_ended = key is not None and key.expires_s is not None and self._clock() >= key.expires_s
        return key.caller if key is not None and not has_ended else None

    def signer(self, request: Request, service: str) -> Caller | None:
        """Who signed, for this service, a request that is none of its calls, such as that of a function URL of AuthType
        AWS_IAM; None in the mode `off`, which takes any. ApiError for one who is nobody; in the mode `soft` that is
        written to the log."""
        found = request.environ.get(SENT)
        if self._mode == "off" or found is None:
            return None
        sent, body = to_sent(*found), found[1]
        try:
            claim = read_claim(sent)
            if claim is None:
                raise CredentialsRefused(Fault.UNSIGNED)
            caller = self.verify(claim, sent, body, service)
        except CredentialsRefused as refused:
            error = credentials_error(refused, service, "rest-json")
            if self.is_strict:
                raise error from refused
            LOG.warning("AWS would refuse a call of %s with %s", request.path, error)
            return None
        return replace(caller, source_ip=request.remote_addr or caller.source_ip)

    def _caller(self, context: RequestContext) -> tuple[Caller, Claim | None]:
        request = context.request
        found = request.environ.get(SENT)
        if context.is_internal_call or found is None:
            return self._internal(context), None
        sent, body = to_sent(*found), found[1]
        try:
            if self._mode == "off":
                return self._believed(sent, context.account_id)
            return self._verified(sent, body, context)
        except CredentialsRefused as refused:
            service: Any = context.service
            error = credentials_error(refused, service.service_name, str(context.protocol))
            if self.is_strict:
                raise exception(error) from refused
            LOG.warning("AWS would refuse a call of %s with %s", service.service_name, error)
            return self._believed(sent, context.account_id)

    def _internal(self, context: RequestContext) -> Caller:
        """LocalStack itself, or the role that it acts as for somebody."""
        header = context.request.headers.get("Authorization", "")
        access_key_id = extract_access_key_id_from_auth_header({"Authorization": header}) or ""
        session = self.sessions.use(access_key_id, self._clock())
        return session.caller if session else root_of(context.account_id, access_key_id, is_stage=True)

    def _believed(self, sent: Sent, account: str) -> tuple[Caller, Claim | None]:
        """Who the request says it is from, where nobody is refused."""
        try:
            claim = read_claim(sent)
            if claim is None:
                return anonymous(), None
            key = self._keys.find(claim.access_key_id)
            if key is None:
                return root_of(account, claim.access_key_id), claim
            is_stage = self._may_be_stage(key, claim) and self._is_stage(claim, sent)
            return (replace(key.caller, is_stage=True) if is_stage else key.caller), claim
        except CredentialsRefused:
            return root_of(account, ""), None

    def _verified(self, sent: Sent, body: Body, context: RequestContext) -> tuple[Caller, Claim | None]:
        operation: Any = context.operation
        service: Any = context.service
        is_s3 = service.service_name == "s3"
        if is_s3 and (old := read_address(sent)):
            return self._presigned(old, sent, context), None
        claim = read_claim(sent)
        if claim is None:
            if is_s3 and operation.name == "PostObject":
                return self._posted(context)
            if service.service_name == "sts" and needs_no_signature(operation):
                message = f"Stagemaker does not implement {operation.name} yet: nothing would verify its token."
                raise CredentialsRefused(Fault.NOT_SUPPORTED, message)
            if is_s3 or needs_no_signature(operation):
                return anonymous(), None
            raise CredentialsRefused(Fault.UNSIGNED)
        may_be_unsigned = operation.auth_type == "v4-unsigned-body" or bool(operation.unsigned_payload)
        return self.verify(claim, sent, body, service.signing_name, may_be_unsigned=may_be_unsigned), claim

    def verify(self, claim: Claim, sent: Sent, body: Body, service: str, *, may_be_unsigned: bool = False) -> Caller:
        """Who signed the request for the service, which is named as it signs. CredentialsRefused when nobody did."""
        is_s3, now_s = service == "s3", self._clock()
        check_scope(claim, service)
        _check_region(claim)
        check_time(claim, now_s, is_s3=is_s3)
        key = check_key(self._keys.find(claim.access_key_id), claim.token, now_s)
        check_headers(claim, sent)
        payload = payload_hash(claim, sent, is_s3=is_s3, may_be_unsigned=may_be_unsigned)
        text = string_to_sign(claim, sent, payload, is_s3=is_s3)
        if not is_signed_by(claim, text, key.secret):
            if self._may_be_stage(key, claim) and is_signed_by(claim, text, self._secret):
                return replace(key.caller, is_stage=True)
            raise CredentialsRefused(Fault.MISMATCH)
        if isinstance(body, ChunkedBody) and payload not in (UNSIGNED_PAYLOAD, UNSIGNED_CHUNKS):
            if sent.value("x-amz-decoded-content-length") != str(body.size_bytes):
                raise CredentialsRefused(Fault.OTHER_CONTENT, "The body has another length than it says.")
            check_chunks(claim, key.secret, body.chunks(), body.trailer)
        return key.caller

    def _presigned(self, claim: OldClaim, sent: Sent, context: RequestContext) -> Caller:
        """Who signed the address by version 2."""
        check_expiry(claim, self._clock())
        key = check_key(self._keys.find(claim.access_key_id), claim.token, self._clock())
        request: Any = context.service_request or {}
        bucket = str(request.get("Bucket") or "")
        in_host = bucket if sent.value("host").startswith(f"{bucket}.") else ""
        if not is_signed_by_v2(claim, string_to_sign_v2(claim, sent, in_host), key.secret):
            raise CredentialsRefused(Fault.MISMATCH)
        return key.caller

    def _posted(self, context: RequestContext) -> tuple[Caller, Claim | None]:
        """Who signed the policy of a form."""
        fields = list(context.request.form.items(multi=True))
        form = {name.lower(): value for name, value in fields}
        if len(form) < len(fields):
            raise CredentialsRefused(Fault.UNSIGNED, "Each field of the form may be there once.")
        found = read_form(form)
        if found is None:
            return anonymous(), None
        claim, policy = found
        if isinstance(claim, OldClaim):
            key = check_key(self._keys.find(claim.access_key_id), claim.token, self._clock())
            if not is_signed_by_v2(claim, policy, key.secret):
                raise CredentialsRefused(Fault.MISMATCH)
            return key.caller, None
        check_scope(claim, "s3")
        _check_region(claim)
        key = check_key(self._keys.find(claim.access_key_id), claim.token, self._clock())
        if not hmac.compare_digest(sign(claim, policy, key.secret), claim.signature):
            raise CredentialsRefused(Fault.MISMATCH)
        return key.caller, claim

    def _may_be_stage(self, key: Key, claim: Claim) -> bool:
        """Whether the key is an account's number: our own clients sign so, with another secret."""
        return claim.access_key_id == key.caller.principal.account

    def _is_stage(self, claim: Claim, sent: Sent) -> bool:
        is_s3 = claim.service == "s3"
        payload = payload_hash(claim, sent, is_s3=is_s3)
        return is_signed_by(claim, string_to_sign(claim, sent, payload, is_s3=is_s3), self._secret)


def to_sent(head: Head, body: Body) -> Sent:
    """A request as it came, before LocalStack changed anything."""
    return Sent(head.method, head.path, head.query, head.headers, body.sha256)


def needs_no_signature(operation: Any) -> bool:
    """Whether AWS answers it to anybody, such as AssumeRoleWithWebIdentity."""
    return operation.auth_type == "none" or "smithy.api#noAuth" in (operation.auth or ())


def _check_region(claim: Claim) -> None:
    if claim.region not in regions() and claim.region != "aws-global":
        sentence = f"Credential should be scoped to a valid region, not '{claim.region}'."
        raise CredentialsRefused(Fault.WRONG_SCOPE, sentence)

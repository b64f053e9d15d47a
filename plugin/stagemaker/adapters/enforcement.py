"""Asks IAM about each call of each service, before anything is done for it.

LocalStack's own services are asked about in a handler, right after the one that finds the caller; ours between the
check of their members and their operation.
"""

import logging
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from localstack.aws import handlers
from localstack.aws.api import RequestContext

from stagemaker.access.call import Call, Circumstances, Lookup, Need
from stagemaker.access.callers import Caller, anonymous, root_of
from stagemaker.access.condition_keys import caller_keys
from stagemaker.access.denial import sentence, unknown_action
from stagemaker.access.dependents import DEREGISTER, image_needs
from stagemaker.access.enforce import Enforcer, Mode, RefusedQuestion, Seen
from stagemaker.access.evaluate import Outcome
from stagemaker.access.questions import UnknownAction, question_of, questions_of
from stagemaker.access.request import Principal
from stagemaker.access.resources import function_arn
from stagemaker.access.s3_actions import REFUSED_KEYS, check_owner, s3_delete
from stagemaker.adapters.errors import exception
from stagemaker.adapters.identity import caller_of, current_caller
from stagemaker.api.operation import Resource
from stagemaker.app import App
from stagemaker.core.errors import ApiError
from stagemaker.core.refs import Ref, Scope, partition_of
from stagemaker.registry.rights import THE_STAGE

LOG = logging.getLogger(__name__)
_PREFIXES: Mapping[str, str] = {  # IAM's, where it is not the name that the service signs with
    "cloudwatch": "cloudwatch",
    "resourcegroupstaggingapi": "tag",
}
_DATE = re.compile(r"[0-9]{8}T[0-9]{6}Z")
_LAMBDA = "lambda.amazonaws.com"
_REPOSITORY_POLICY = ("ecr:GetRepositoryPolicy", "ecr:SetRepositoryPolicy")
_NO_TARGET = (
    "An Application AutoScaling scalable target exists for a variant being deleted, and the IAM identity used to "
    "invoke DeleteEndpoint does not have application-autoscaling:DeregisterScalableTarget permission to deregister "
    "the scalable target."
)
_URL_ACTIONS = ("lambda:InvokeFunctionUrl", "lambda:InvokeFunction")  # since October 2025 it takes both
_URL_KEYS = {"lambda:functionurlauthtype": "AWS_IAM", "lambda:invokedviafunctionurl": "true"}
_INSTALLED: "list[Enforcement]" = []
_NO_CODE = (
    "Your access has been denied by S3, please make sure your request credentials have permission to GetObject for {}. "
    "S3 Error Code: AccessDenied. S3 Error Message: Access Denied"
)
_NO_IMAGE = "Lambda does not have permission to access the ECR image. Check the ECR permissions."


def installed() -> "Enforcement":
    """That of this process, after `Enforcement.install`."""
    return _INSTALLED[0]


class Enforcement:
    """Asks an Enforcer the questions of each request. Thread-safe. It is the `Rights` of the registry's front, too.

    `app` gives the App once it runs; `find_caller` the owner of an access key, or None."""

    def __init__(
        self,
        app: Callable[[], App],
        enforcer: Enforcer,
        lookup: Lookup,
        find_caller: Callable[[str], Caller | None],
    ) -> None:
        self._app, self.enforcer, self._lookup, self._find_caller = app, enforcer, lookup, find_caller

    def install(self) -> None:
        """Have all calls of LocalStack's own services asked about, right after their callers are known."""

        def handle(chain: Any, context: RequestContext, response: Any) -> None:  # noqa: ARG001 - as LocalStack calls it
            if context.service is None or context.operation is None:
                return
            if context.service.service_name in self._app().services:
                return
            members = {name: value for name, value in (context.service_request or {}).items() if value is not None}
            if context.operation.name == "PostObject":
                members |= _posted_object(context.request)
            try:
                if context.service.service_name == "s3":
                    check_owner(members, self._lookup)
                self.authorize(context, members)
            except ApiError as error:
                raise exception(error) from error

        handlers.serve_custom_service_request_handlers.handlers.insert(1, handle)
        _INSTALLED[:] = [self]

    def authorize_ours(
        self, context: RequestContext, members: Mapping[str, Any], resource: Resource | None = None
    ) -> None:
        """As `authorize`, for a service of ours; those that LocalStack shares with us were asked about already."""
        service: Any = context.service
        if service.service_name in self._app().services:
            arns = resource(Scope(context.account_id, context.region), members) if resource is not None else None
            self.authorize(context, members, arns)

    def holder(self) -> str:
        """The access key of the caller whom this thread answers; THE_STAGE of the stage itself."""
        caller = current_caller()
        return THE_STAGE if caller.is_stage else caller.access_key_id

    def check(self, holder: str, actions: Sequence[str], repository: Ref) -> None:
        """Raise ApiError when the holder of a token may not do one of the actions, or is nobody any more."""
        if holder == THE_STAGE:
            return
        scope = repository.scope
        caller = self._find_caller(holder)
        if caller is None and self.enforcer.mode is Mode.STRICT:
            raise ApiError("AccessDeniedException", "The security token included in the request is invalid.", 403)
        caller = caller or root_of(scope.account, holder)
        partition = partition_of(scope.region).name
        how = Circumstances(self.enforcer.now_s())
        call = Call("ecr", "ecr", "", {}, None, scope.account, scope.region, partition, how)
        common = caller_keys(call, caller, self._lookup)
        needs = [Need(action, repository.arn, scope.account) for action in actions]
        questions = [question_of(call, need, common, self._lookup) for need in needs]
        self.enforcer.authorize(caller, [replace(one, because=one.action) for one in questions])

    def authorize_url(self, caller: Caller, arn: str, request: Any) -> None:
        """Raise ApiError when the caller may not call the URL of AuthType AWS_IAM of the function with the ARN."""
        self.authorize_address(caller, _URL_ACTIONS, arn, request, _URL_KEYS)

    def authorize_address(
        self, caller: Caller, actions: Sequence[str], arn: str, request: Any, keys: Mapping[str, str] | None = None
    ) -> None:
        """Raise ApiError when the caller may not do each of the actions with the ARN: what a request asks for that is
        no call of the service. `keys` are condition keys with their values."""
        if caller.is_stage:
            return
        _, partition, service, region, account, *_ = arn.split(":")
        how = circumstances(request, self.enforcer.now_s(), all_headers=False)
        call = Call(service, service, actions[0].partition(":")[2], {}, None, account, region, partition, how)
        common = caller_keys(call, caller, self._lookup)
        questions = [question_of(call, Need(action, arn, account), common, self._lookup) for action in actions]
        self.enforcer.authorize(caller, [replace(one, context={**one.context, **(keys or {})}) for one in questions])

    def may_everybody_read(self, bucket: str, key: str) -> bool:
        """Whether an object is shown to callers without a signature, as on a website."""
        caller, scope = anonymous(), Scope(self._lookup.bucket_owner(bucket) or "", "us-east-1")
        how = Circumstances(self.enforcer.now_s())
        call = Call("s3", "s3", "GetObject", {}, None, scope.account, scope.region, "aws", how)
        need = Need("s3:GetObject", f"arn:aws:s3:::{bucket}/{key}", scope.account)
        question = question_of(call, need, caller_keys(call, caller, self._lookup), self._lookup)
        try:
            self.enforcer.authorize(caller, [question])
        except RefusedQuestion:
            return False
        return True

    def authorize(
        self, context: RequestContext, members: Mapping[str, Any], resources: Sequence[str] | None = None
    ) -> None:
        """Raise ApiError when the caller may not do what the request asks for. `resources` are the ARNs that the
        operation is about, where it says so itself."""
        caller = caller_of(context)
        if caller.is_stage:
            return
        try:
            self._ask(context, self._call(context, members, resources), caller)
        except ApiError:
            raise
        except Exception:
            if self.enforcer.mode is Mode.STRICT:
                raise
            LOG.exception("nothing was asked about %s", context.operation)  # it was not to be refused anyway

    def _ask(self, context: RequestContext, call: Call, caller: Caller) -> None:
        if call.name == "s3:DeleteObjects":
            self._delete_objects(context, call, caller)
            return
        try:
            self.enforcer.authorize(caller, questions_of(call, caller, self._lookup))
        except UnknownAction as unknown:
            if self.enforcer.mode is Mode.STRICT and not caller.principal.is_root:
                raise unknown_action(caller.principal, unknown.action, call.name) from None
        except RefusedQuestion as refused:
            if refused.question.action == DEREGISTER and call.operation == "DeleteEndpoint":
                raise ApiError("AccessDeniedException", _NO_TARGET) from refused
            if call.service == "lambda" and refused.question.action.startswith("s3:"):
                object_name = refused.question.resource_arn.partition(":::")[2]
                raise ApiError("AccessDeniedException", _NO_CODE.format(object_name), 403) from refused
            raise
        if call.service == "lambda" and self.enforcer.mode is not Mode.OFF:
            self._let_lambda_pull(call, caller)

    def _call(self, context: RequestContext, members: Mapping[str, Any], resources: Sequence[str] | None) -> Call:
        service: Any = context.service
        operation: Any = context.operation
        return Call(
            service.service_name,
            _PREFIXES.get(service.service_name, service.signing_name),
            operation.name,
            members,
            operation.input_shape,
            context.account_id,
            context.region,
            context.partition,
            circumstances(context.request, self.enforcer.now_s(), all_headers=service.service_name == "s3"),
            resources,
        )

    def _delete_objects(self, context: RequestContext, call: Call, caller: Caller) -> None:
        """S3 deletes the keys that it may, and names the others in its answer."""
        bucket, common = str(call.members.get("Bucket")), caller_keys(call, caller, self._lookup)
        refused: dict[int, str] = {}
        for place, entry in enumerate((call.members.get("Delete") or {}).get("Objects") or ()):
            question = question_of(call, s3_delete(call, self._lookup, bucket, entry), common, self._lookup)
            try:
                self.enforcer.authorize(caller, [question])
            except RefusedQuestion as error:
                refused[place] = error.message
        setattr(context, REFUSED_KEYS, refused)

    def _let_lambda_pull(self, call: Call, caller: Caller) -> None:
        """Lambda itself must be allowed to pull a function's image, by the repository's policy. Where it is not, Lambda
        adds the statement, if the caller may change that policy.

        AWS source: "Amazon ECR permissions", https://docs.aws.amazon.com/lambda/latest/dg/images-create.html."""
        if call.operation not in ("CreateFunction", "UpdateFunctionCode"):
            return
        needs = list(image_needs(call, self._lookup))
        if not needs or all(self._may_pull(call, need) for need in needs):
            return
        arn, account = needs[0].arn, needs[0].account
        common = caller_keys(call, caller, self._lookup)
        changes = [question_of(call, Need(action, arn, account), common, self._lookup) for action in _REPOSITORY_POLICY]
        outcomes = [self.enforcer.decide(caller, question).outcome for question in changes]
        if any(outcome is not Outcome.ALLOWED for outcome in outcomes):
            if self.enforcer.mode is Mode.STRICT:
                raise ApiError("AccessDeniedException", _NO_IMAGE, 403)
            return
        region, name = arn.split(":")[3], arn.partition("repository/")[2]
        self._app().ecr.repositories.let_lambda_pull(Scope(account, region), name)

    def _may_pull(self, call: Call, need: Need) -> bool:
        arn, _ = function_arn(call, str(call.members.get("FunctionName")), None)
        how = replace(call.circumstances, source_account=call.account, source_arn=arn)
        service = Caller(Principal(_LAMBDA), "", _LAMBDA)
        pulling = replace(call, circumstances=how)
        question = question_of(pulling, need, caller_keys(pulling, service, self._lookup), self._lookup)
        return self.enforcer.decide(service, question).outcome is Outcome.ALLOWED


def _posted_object(request: Any) -> dict[str, Any]:
    """What a form says about the object that it makes, as LocalStack reads it."""
    form, file = request.form, request.files.get("file")
    key = form.get("key") or ""
    if "file" not in form and file is not None:
        key = key.replace("${filename}", file.filename or "")
    known = {"Key": key, "ACL": form.get("acl"), "Tagging": form.get("tagging")}
    return {name: value for name, value in known.items() if value}


def logged(saw: Callable[[Seen], None]) -> Callable[[Seen], None]:
    """An observer that also writes into the log what AWS would refuse: that of the mode soft."""

    def observe(seen: Seen) -> None:
        saw(seen)
        if seen.decision.outcome is not Outcome.ALLOWED:
            LOG.warning("AWS would refuse it: %s", sentence(seen.caller.principal, seen.question, seen.decision))

    return observe


def circumstances(request: Any, time_s: float, *, all_headers: bool) -> Circumstances:
    """How a request came. `all_headers`: those that S3 has condition keys for, too, also from a presigned address."""
    sent = request.headers
    query = request.args if request.query_string else {}
    is_presigned = "X-Amz-Signature" in query
    headers = {"referer": sent["referer"]} if "referer" in sent else {}
    if all_headers:
        headers |= {name.lower(): value for name, value in sent.items() if name.lower().startswith(("x-amz-", "if-"))}
        headers |= {name.lower(): value for name, value in query.items() if name.lower().startswith("x-amz-")}
    date = query.get("X-Amz-Date") if is_presigned else sent.get("x-amz-date")
    return Circumstances(time_s, sent.get("user-agent", ""), headers, is_presigned, _seconds(date or ""))


def _seconds(date: str) -> float:
    """Of x-amz-date; 0 for what is none."""
    if not _DATE.fullmatch(date):
        return 0.0
    try:
        return datetime.strptime(date, "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC).timestamp()
    except ValueError:
        return 0.0

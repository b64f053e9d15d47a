"""What is asked about a request: one question for each action and resource that IAM decides on. Pure, but for look-ups.

Not known: service control policies, VPC endpoints other than S3's gateways, multi-factor authentication
(aws:MultiFactorAuthPresent is absent), and services that call for a caller (aws:CalledVia is absent).
"""

from dataclasses import dataclass, replace

from stagemaker.access.call import Call, Lookup, Need
from stagemaker.access.callers import Caller
from stagemaker.access.catalog import find_action
from stagemaker.access.condition_keys import caller_keys, keys_of
from stagemaker.access.dependents import dependents_of
from stagemaker.access.request import Context
from stagemaker.access.resources import FREE, needs_of


@dataclass(frozen=True)
class Question:
    """Whether the caller may do `action`, in AWS's spelling, on `resource_arn`, which is `*` for an action without a
    resource. `because` is the operation that asks, such as sagemaker:CreateTrainingJob, which asks for iam:PassRole."""

    action: str
    resource_arn: str
    resource_account: str
    context: Context  # the condition keys of the request and of the caller
    because: str


class UnknownAction(Exception):
    """AWS's list has no such action, or the call names nothing that could be asked about: only the root user can be
    allowed to do it."""

    def __init__(self, action: str) -> None:
        super().__init__(action)
        self.action = action


def questions_of(call: Call, caller: Caller, lookup: Lookup) -> list[Question]:
    """All that the caller must be allowed for the call. Raises UnknownAction."""
    needs = needs_of(call, lookup, caller.user_name)
    if not needs and call.name not in FREE:
        raise UnknownAction(call.name)  # nothing is allowed because nothing was asked
    common = caller_keys(call, caller, lookup)
    found = [question_of(call, one, common, lookup) for one in needs]
    for dependent in dependents_of(call, needs, lookup):
        question = question_of(call, dependent.need, common, lookup)
        found.append(replace(question, context={**question.context, **dependent.keys}))
    return found


def question_of(call: Call, need: Need, common: Context, lookup: Lookup) -> Question:
    """One question. `common` are the keys of the call and its caller. Raises UnknownAction."""
    prefix, _, name = need.action.partition(":")
    action = find_action(prefix, name)
    if action is None:
        raise UnknownAction(need.action)
    return Question(action.name, need.arn, need.account, keys_of(call, need, action, common, lookup), call.name)

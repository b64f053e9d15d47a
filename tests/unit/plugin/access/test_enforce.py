"""Modes, the observer, and the sentences of refusals."""

import pytest

from stagemaker.access.callers import Caller, root_of
from stagemaker.access.enforce import Enforcer, Mode, RefusedQuestion, Seen
from stagemaker.access.evaluate import Outcome, Policies
from stagemaker.access.policy import read_policy
from stagemaker.access.questions import Question
from stagemaker.access.request import Principal

ALLOW = read_policy('{"Statement": {"Effect": "Allow", "Action": "*", "Resource": "*"}}')
DENY = read_policy('{"Statement": {"Effect": "Deny", "Action": "*", "Resource": "*"}}')
NOTHING = read_policy('{"Statement": []}')
SHARES = read_policy('{"Statement": {"Effect": "Allow", "Principal": "*", "Action": "*", "Resource": "*"}}')
REFUSES = read_policy('{"Statement": {"Effect": "Deny", "Principal": "*", "Action": "*", "Resource": "*"}}')
ANN = Caller(Principal("arn:aws:iam::111122223333:user/ann"), "AKIA1", "AIDA1", user_name="ann")
START = "User: arn:aws:iam::111122223333:user/ann is not authorized to perform: {action} on resource: {arn}"


class Fixed:
    """A PolicySource that has the same for everybody."""

    def __init__(self, policies: Policies) -> None:
        self._policies = policies

    def policies(self, caller: Caller, question: Question) -> Policies:
        """The ones."""
        return self._policies


def ask(policies: Policies, question: Question, mode: Mode = Mode.STRICT, caller: Caller = ANN) -> list[Seen]:
    """What the observer saw, where nothing was refused."""
    seen: list[Seen] = []
    Enforcer(mode, Fixed(policies), seen.append, lambda: 7.0).authorize(caller, [question])
    return seen


def question(action: str = "sagemaker:ListModels", arn: str = "*", account: str = "111122223333") -> Question:
    """Of an operation that is its own action."""
    return Question(action, arn, account, {}, action)


@pytest.mark.parametrize("mode", [Mode.OFF, Mode.SOFT])
def test_without_strict_nothing_is_refused_and_all_is_seen(mode: Mode) -> None:
    (seen,) = ask(Policies(), question(), mode)
    assert seen.decision.outcome is Outcome.IMPLICIT_DENY
    assert (seen.caller, seen.time_s) == (ANN, 7.0)


def test_the_root_user_needs_no_policy_and_the_stage_is_not_even_seen() -> None:
    (seen,) = ask(Policies(), question(), caller=root_of("111122223333", "test"))
    assert seen.decision.outcome is Outcome.ALLOWED
    assert ask(Policies(), question(), caller=root_of("111122223333", "x", is_stage=True)) == []


@pytest.mark.parametrize(
    ("policies", "end"),
    [
        (Policies(), " because no identity-based policy allows the {action} action"),
        (Policies((DENY,)), " with an explicit deny in an identity-based policy"),
        (Policies((ALLOW,), boundary=NOTHING), " because no permissions boundary allows the {action} action"),
        (Policies((ALLOW,), boundary=DENY), " with an explicit deny in a permissions boundary"),
        (Policies((ALLOW,), session=NOTHING), " because no session policy allows the {action} action"),
        (Policies((ALLOW,), session=DENY), " with an explicit deny in a session policy"),
        (Policies((ALLOW,), resource=REFUSES), " with an explicit deny in a resource-based policy"),
        (Policies((ALLOW,), endpoint=NOTHING), " because no VPC endpoint policy allows the {action} action"),
        (Policies((ALLOW,), endpoint=REFUSES), " with an explicit deny in a VPC endpoint policy"),
    ],
)
def test_a_refusal_names_the_policy_that_is_the_reason(policies: Policies, end: str) -> None:
    with pytest.raises(RefusedQuestion) as caught:
        ask(policies, question("ecr:ListImages", "arn:repo"))
    sentence = (START + end).format(action="ecr:ListImages", arn="arn:repo")
    assert (caught.value.code, caught.value.status, caught.value.message) == ("AccessDeniedException", 400, sentence)
    assert caught.value.question.action == "ecr:ListImages"


def test_another_account_must_share_its_resource() -> None:
    theirs = question("ecr:ListImages", "arn:repo", "444455556666")
    with pytest.raises(RefusedQuestion, match="because no resource-based policy allows the ecr:ListImages action"):
        ask(Policies((ALLOW,)), theirs)
    assert ask(Policies((ALLOW,), resource=SHARES), theirs)


def test_a_role_that_does_not_trust_gives_no_reason() -> None:
    with pytest.raises(RefusedQuestion) as caught:
        ask(Policies((ALLOW,), trust=NOTHING), question("sts:AssumeRole", "arn:aws:iam::111122223333:role/r"))
    sentence = START.format(action="sts:AssumeRole", arn="arn:aws:iam::111122223333:role/r")
    assert (caught.value.code, caught.value.status, caught.value.message) == ("AccessDenied", 403, sentence)


def test_the_root_user_assumes_no_role() -> None:
    root = root_of("111122223333", "test")
    with pytest.raises(RefusedQuestion, match=r"Roles may not be assumed by root accounts\."):
        ask(Policies(trust=SHARES), question("sts:AssumeRole", "arn:aws:iam::111122223333:role/r"), caller=root)


@pytest.mark.parametrize(
    ("because", "code", "status"),
    [
        ("sagemaker:CreateModel", "AccessDeniedException", 400),
        ("sagemaker:InvokeEndpoint", "AccessDeniedException", 403),
        ("sagemaker:InvokeEndpointAsync", "AccessDeniedException", 403),
        ("lambda:Invoke", "AccessDeniedException", 403),
        ("iam:CreateRole", "AccessDenied", 403),
        ("cloudwatch:PutMetricData", "AccessDenied", 403),
        ("sns:Publish", "AuthorizationError", 403),
    ],
)
def test_the_code_is_that_of_the_operation_that_asks(because: str, code: str, status: int) -> None:
    with pytest.raises(RefusedQuestion) as caught:
        ask(Policies(), Question("iam:PassRole", "arn:role", "111122223333", {}, because))
    assert (caught.value.code, caught.value.status) == (code, status)


def test_s3_quotes_the_resource_and_tells_others_nothing() -> None:
    with pytest.raises(RefusedQuestion, match='on resource: "arn:aws:s3:::b/k" because no identity-based policy'):
        ask(Policies(), question("s3:GetObject", "arn:aws:s3:::b/k"))
    with pytest.raises(RefusedQuestion) as caught:
        ask(Policies(), question("s3:GetObject", "arn:aws:s3:::b/k", "444455556666"))
    assert caught.value.message == "Access Denied"

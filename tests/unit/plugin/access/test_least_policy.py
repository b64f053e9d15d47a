"""From the calls that were seen to the smallest policy, and the property that makes it the smallest."""

import json
import random
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import pytest

from stagemaker.access.evaluate import Outcome, Policies, decide
from stagemaker.access.least_policy import (
    MAX_SIBLINGS,
    Use,
    document_of,
    kind_of,
    least_policy,
    with_placeholders,
)
from stagemaker.access.policy import read_policy
from stagemaker.access.request import AccessRequest, read_context
from tests.unit.plugin.access.questions import ACCOUNT, SESSION

type Call = tuple[str, str, Mapping[str, str]]

JOB = f"arn:aws:sagemaker:eu-west-1:{ACCOUNT}:training-job/train-1"
MODEL = f"arn:aws:sagemaker:eu-west-1:{ACCOUNT}:model/dogs"
ENDPOINT = f"arn:aws:sagemaker:eu-west-1:{ACCOUNT}:endpoint/dogs"
ROLE = f"arn:aws:iam::{ACCOUNT}:role/stage"
STREAM = f"arn:aws:logs:eu-west-1:{ACCOUNT}:log-group:/aws/sagemaker/TrainingJobs:log-stream:train-1/algo-1-1700000000"
RUN: Sequence[Call] = (
    ("sagemaker:CreateTrainingJob", JOB, {}),
    ("sagemaker:DescribeTrainingJob", JOB, {}),
    ("iam:PassRole", ROLE, {"iam:PassedToService": "sagemaker.amazonaws.com"}),
    ("s3:ListBucket", "arn:aws:s3:::data", {"s3:prefix": "train/"}),
    ("s3:ListBucket", "arn:aws:s3:::data", {"s3:prefix": "valid/"}),
    ("s3:GetObject", "arn:aws:s3:::data/train/cat/1.txt", {}),
    ("s3:GetObject", "arn:aws:s3:::data/train/cat/2.txt", {}),
    ("s3:GetObject", "arn:aws:s3:::data/labels.json", {}),
    ("s3:PutObject", "arn:aws:s3:::data/out/train-1/output/model.tar.gz", {}),
    ("cloudwatch:PutMetricData", "*", {"cloudwatch:namespace": "/aws/sagemaker/TrainingJobs"}),
    ("ecr:GetAuthorizationToken", "*", {}),
    ("logs:PutLogEvents", STREAM, {}),
    ("sagemaker:InvokeEndpoint", ENDPOINT, {}),
    ("sagemaker:DeleteModel", MODEL, {}),
)


def uses(*calls: Call) -> list[Use]:
    """Of each call one, at its place in the order."""
    return [
        Use(kind_of(action, arn, read_context(context)), because=action, count=1, last_s=float(second))
        for second, (action, arn, context) in enumerate(calls)
    ]


def statement(*calls: Call, groups: Sequence[str] = ()) -> dict[str, Any]:
    """The one statement that the calls need."""
    (found,) = least_policy(uses(*calls), groups)
    return found.document()


def outcome(document: Mapping[str, Any], call: Call) -> Outcome:
    action, arn, context = call
    request = AccessRequest(SESSION, action, arn, ACCOUNT, read_context(context))
    return decide(request, Policies(identity=(read_policy(json.dumps(document)),))).outcome


def resource_of(*arns: str, groups: Sequence[str] = ()) -> Any:
    return statement(*(("s3:GetObject", arn, {}) for arn in arns), groups=groups)["Resource"]


def test_everything_that_was_seen_is_allowed() -> None:
    document = document_of(least_policy(uses(*RUN)))
    assert [call for call in RUN if outcome(document, call) is not Outcome.ALLOWED] == []


def test_without_any_one_statement_a_call_is_denied() -> None:
    statements = least_policy(uses(*RUN))
    assert len(statements) == 10
    for left_out in statements:
        document = document_of(one for one in statements if one is not left_out)
        assert Outcome.IMPLICIT_DENY in {outcome(document, call) for call in RUN}, left_out.sid


@pytest.mark.parametrize("seed", range(50))
def test_any_calls_are_allowed_by_statements_that_are_all_needed(seed: int) -> None:
    chance = random.Random(seed)  # noqa: S311 - no secret
    keys = ["a/1", "a/b/2", "1", "*/?", "a/c/d/$", "train-1/x"]
    choices: list[Call] = [
        *RUN,
        *((f"s3:{action}", f"arn:aws:s3:::b{n}/{key}", {}) for action in ("GetObject", "PutObject") for key in keys
          for n in (1, 2)),
        *(("s3:ListBucket", f"arn:aws:s3:::b{n}", {"s3:prefix": key} if key else {}) for key in ["", *keys]
          for n in (1, 2)),
        *(("iam:PassRole", f"{ROLE}{n}", {"iam:PassedToService": f"{name}.amazonaws.com"}) for n in (1, 2)
          for name in ("lambda", "sagemaker")),
    ]  # fmt: skip
    calls = chance.choices(choices, k=chance.randint(1, 20))
    statements = least_policy(uses(*calls), chance.choice([(), ("train-*",), ("b?",)]))
    document = document_of(statements)
    assert [call for call in calls if outcome(document, call) is not Outcome.ALLOWED] == []
    for left_out in statements:
        fewer = document_of(one for one in statements if one is not left_out)
        assert any(outcome(fewer, call) is not Outcome.ALLOWED for call in calls), left_out


@pytest.mark.parametrize(
    "call",
    [
        ("sagemaker:DeleteTrainingJob", JOB, {}),
        ("sagemaker:CreateTrainingJob", JOB + "2", {}),
        ("sagemaker:CreateTrainingJob", JOB.replace("eu-west-1", "us-east-1"), {}),
        ("iam:PassRole", ROLE, {"iam:PassedToService": "lambda.amazonaws.com"}),
        ("iam:PassRole", ROLE + "2", {"iam:PassedToService": "sagemaker.amazonaws.com"}),
        ("s3:ListBucket", "arn:aws:s3:::data", {"s3:prefix": ""}),
        ("s3:ListBucket", "arn:aws:s3:::data", {}),
        ("s3:GetObject", "arn:aws:s3:::data/other/1.txt", {}),
        ("s3:GetObject", "arn:aws:s3:::data/labels.json.bak", {}),
        ("s3:PutObject", "arn:aws:s3:::data/train/cat/1.txt", {}),
        ("cloudwatch:PutMetricData", "*", {"cloudwatch:namespace": "Other"}),
        ("logs:PutLogEvents", STREAM.replace("TrainingJobs", "Endpoints"), {}),
        ("sagemaker:InvokeEndpoint", ENDPOINT + "2", {}),
    ],
)
def test_what_was_not_seen_is_not_allowed(call: Call) -> None:
    assert outcome(document_of(least_policy(uses(*RUN))), call) is Outcome.IMPLICIT_DENY


def test_actions_with_the_same_resources_are_one_statement() -> None:
    assert statement(*RUN[:2]) == {
        "Sid": "SagemakerCreateTrainingJobAnd1More",
        "Effect": "Allow",
        "Action": ["sagemaker:CreateTrainingJob", "sagemaker:DescribeTrainingJob"],
        "Resource": JOB,
    }


def test_a_condition_has_every_value_that_was_seen() -> None:
    assert statement(*RUN[3:5])["Condition"] == {"StringEquals": {"s3:prefix": ["train/", "valid/"]}}


def test_one_call_without_a_key_needs_a_statement_without_the_condition() -> None:
    assert "Condition" not in statement(*RUN[3:5], ("s3:ListBucket", "arn:aws:s3:::data", {}))


def test_a_statement_names_its_calls_their_number_and_the_last_time() -> None:
    (found,) = least_policy([replace(use, count=5) for use in uses(*RUN[:2])])
    assert (found.because, found.count, found.last_s) == (
        ("sagemaker:CreateTrainingJob", "sagemaker:DescribeTrainingJob"), 10, 1.0,
    )  # fmt: skip


def test_each_sid_is_its_own() -> None:
    other = ("iam:PassRole", ROLE + "2", {"iam:PassedToService": "lambda.amazonaws.com"})
    assert [one.sid for one in least_policy(uses(RUN[2], other))] == ["IamPassRole", "IamPassRole2"]


@pytest.mark.parametrize(
    ("arns", "resource"),
    [
        (["data/a/1.txt", "data/a/2.txt"], "data/a/*"),
        (["data/1.txt"], "data/1.txt"),
        (["data/a/1.txt", "data/a/b/2.txt"], "data/a/*"),
        (["data//1.txt"], "data//*"),
        (["data/a*?$/1.txt"], "data/a${*}${?}${$}/*"),
        (["data/x*"], "data/x${*}"),
        ([f"data/train/{n:02}/1.txt" for n in range(MAX_SIBLINGS + 1)], "data/train/*"),
    ],
)
def test_an_object_is_allowed_with_its_folder(arns: list[str], resource: str) -> None:
    assert resource_of(*(f"arn:aws:s3:::{arn}" for arn in arns)) == f"arn:aws:s3:::{resource}"


@pytest.mark.parametrize("key", ["a*b/c?d/1.txt", "x*", "a${aws:username}/1.txt", "$/$$/1", "a'b,c{d}/e"])
def test_a_strange_key_is_allowed_and_its_wildcards_are_plain_characters(key: str) -> None:
    call: Call = ("s3:GetObject", f"arn:aws:s3:::data/{key}", {})
    document = document_of(least_policy(uses(call)))
    assert outcome(document, call) is Outcome.ALLOWED
    other = key.replace("*", "zz").replace("?", "z").replace("${aws:username}", "Trainer")
    if other != key:
        assert outcome(document, ("s3:GetObject", f"arn:aws:s3:::data/{other}", {})) is Outcome.IMPLICIT_DENY


@pytest.mark.parametrize(
    ("action", "arn"),
    [
        ("lambda:GetFunction", f"arn:aws:lambda:eu-west-1:{ACCOUNT}:function:*"),
        ("sns:Publish", f"arn:aws:sns:eu-west-1:{ACCOUNT}:*"),
        ("s3:ListBucket", "arn:aws:s3:::*"),
        ("s3:GetObject", "arn:aws:s3:::*/a"),
        ("logs:PutLogEvents", f"arn:aws:logs:eu-west-1:{ACCOUNT}:log-group:*:log-stream:x"),
        ("dynamodb:GetItem", f"arn:aws:dynamodb:eu-west-1:{ACCOUNT}:table/${{aws:username}}"),
    ],
)
def test_a_strange_name_does_not_widen_the_policy(action: str, arn: str) -> None:
    document = document_of(least_policy(uses((action, arn, {}))))
    assert outcome(document, (action, arn, {})) is Outcome.ALLOWED
    other = arn.replace("*", "secret").replace("${aws:username}", "Trainer")
    assert outcome(document, (action, other, {"aws:username": "Trainer"})) is Outcome.IMPLICIT_DENY


@pytest.mark.parametrize(
    ("action", "resource"), [("ecr:DescribeRepositories", "repository/*"), ("cloudwatch:DescribeAlarms", "alarm:*")]
)
def test_all_of_a_kind_stay_all(action: str, resource: str) -> None:
    service = action.partition(":")[0]
    arn = f"arn:aws:{service}:eu-west-1:{ACCOUNT}:{resource}"
    document = document_of(least_policy(uses((action, arn, {}))))
    assert outcome(document, (action, arn.replace("*", "one"), {})) is Outcome.ALLOWED


@pytest.mark.parametrize(("group", "wanted"), [("?", "abc"), ("*", "*")])
def test_a_group_stands_for_names_only(group: str, wanted: str) -> None:
    assert resource_of("arn:aws:s3:::d/abc/1.txt", groups=[group]) == f"arn:aws:s3:::{group}/{wanted}/*"
    assert statement(("ecr:GetAuthorizationToken", "*", {}), groups=[group])["Resource"] == "*"


def test_a_whole_bucket_is_never_made_of_its_folders() -> None:
    arns = [f"arn:aws:s3:::data/{n:02}/1.txt" for n in range(MAX_SIBLINGS + 1)]
    assert resource_of(*arns) == [arn.replace("1.txt", "*") for arn in arns]


def test_prefixes_side_by_side_are_one_pattern() -> None:
    calls: list[Call] = [
        ("s3:ListBucket", "arn:aws:s3:::data", {"s3:prefix": f"train/{n:02}/"}) for n in range(MAX_SIBLINGS + 1)
    ]
    assert statement(*calls)["Condition"] == {"StringLike": {"s3:prefix": "train/*"}}


def test_names_that_a_run_makes_are_a_group() -> None:
    calls = [RUN[0], (RUN[0][0], JOB.replace("train-1", "train-2"), {})]
    assert statement(*calls, groups=["train-*"])["Resource"] == JOB.replace("train-1", "train-*")
    arns = [f"arn:aws:s3:::train-9/out/train-{n}/output/model.tar.gz" for n in (1, 2)]
    assert resource_of(*arns, groups=["*-1", "train-?"]) == [
        "arn:aws:s3:::train-?/out/*-1/output/*",
        "arn:aws:s3:::train-?/out/train-?/output/*",
    ]


def test_a_group_stands_in_conditions_too_and_not_in_accounts() -> None:
    listing: Call = ("s3:ListBucket", "arn:aws:s3:::data", {"s3:prefix": "out/train-1/"})
    assert statement(listing, groups=["train-*"])["Condition"] == {"StringLike": {"s3:prefix": "out/train-*/"}}
    assert statement(RUN[0], groups=["1*", "eu-*"])["Resource"] == JOB


def test_a_template_has_placeholders_for_the_account_and_the_region() -> None:
    bucket = f"arn:aws:s3:::dogs-{ACCOUNT}-eu-west-1"
    calls: list[Call] = [
        RUN[0], RUN[2], ("s3:ListBucket", bucket, {"s3:prefix": "a$"}),
        ("sagemaker:InvokeEndpoint", ENDPOINT.replace("eu-west-1", "us-east-1"), {}),
    ]  # fmt: skip
    template = with_placeholders(document_of(least_policy(uses(*calls, RUN[1]))), ACCOUNT)
    assert [one["Resource"] for one in template["Statement"]] == [
        "arn:aws:iam::${account}:role/stage",
        "arn:aws:s3:::dogs-${account}-${region}",
        "arn:aws:sagemaker:${region}:${account}:training-job/train-1",
        "arn:aws:sagemaker:us-east-1:${account}:endpoint/dogs",
    ]
    assert template["Statement"][1]["Condition"] == {"StringEquals": {"s3:prefix": "a$${$}"}}


def test_a_template_without_a_region_has_only_the_account() -> None:
    template = with_placeholders(document_of(least_policy(uses(RUN[2]))), ACCOUNT)
    assert template["Statement"][0]["Resource"] == "arn:aws:iam::${account}:role/stage"

"""The answers of IAM's policy simulator."""

import json
from typing import Any

import pytest

from stagemaker.access.simulate import SourcePolicy, simulate_custom_policy, simulate_principal_policy
from stagemaker.core.errors import ApiError
from tests.unit.plugin.access.questions import ACCOUNT, OBJECT_ARN, OTHER_ACCOUNT, USER, allow, deny, grant, policy

ROLE = f"arn:aws:iam::{ACCOUNT}:role/Trainer"
READ_DATA = policy(allow(Action="s3:Get*", Resource="arn:aws:s3:::data/*")).text
EVERYTHING = policy(allow()).text
NOTHING = policy(deny()).text


def custom(*texts: str, actions: tuple[str, ...] = ("s3:GetObject",), **members: Any) -> dict[str, Any]:
    return simulate_custom_policy({"PolicyInputList": list(texts), "ActionNames": list(actions), **members})


def result_of(*texts: str, **members: Any) -> dict[str, Any]:
    (result,) = custom(*texts, **members)["EvaluationResults"]
    assert isinstance(result, dict)
    return result


def of_role(*attached: SourcePolicy, **members: Any) -> list[dict[str, Any]]:
    request = {"PolicySourceArn": ROLE, "ActionNames": ["s3:GetObject"], **members}
    results = simulate_principal_policy(request, attached)["EvaluationResults"]
    assert isinstance(results, list)
    return results


def test_the_example_of_aws() -> None:
    """The example of `aws iam simulate-custom-policy` in the AWS CLI command reference, but for SourcePolicyType."""
    text = (
        '{"Version":"2012-10-17","Statement":{"Effect":"Allow","Action":"dynamodb:*","Resource":"*",'
        '"Condition":{"DateGreaterThan":{"aws:CurrentTime":"2018-08-16T12:00:00Z"}}}}'
    )
    now = {"ContextKeyName": "aws:CurrentTime", "ContextKeyValues": ["2019-04-25T11:00:00Z"], "ContextKeyType": "date"}
    statement = {
        "SourcePolicyId": "PolicyInputList.1",
        "SourcePolicyType": "none",
        "StartPosition": {"Line": 1, "Column": 38},
        "EndPosition": {"Line": 1, "Column": 167},
    }
    result = {
        "EvalActionName": "dynamodb:CreateBackup",
        "EvalResourceName": "*",
        "EvalDecision": "allowed",
        "MatchedStatements": [statement],
        "MissingContextValues": [],
    }
    answer = custom(text, actions=("dynamodb:CreateBackup",), ContextEntries=[now])
    assert answer == {"EvaluationResults": [result], "IsTruncated": False}
    early = {**now, "ContextKeyValues": ["2014-04-25T11:00:00Z"]}
    denied = {**result, "EvalDecision": "implicitDeny", "MatchedStatements": []}
    assert custom(text, actions=("dynamodb:CreateBackup",), ContextEntries=[early])["EvaluationResults"] == [denied]


def test_a_role_without_policies_is_denied_implicitly() -> None:
    assert [result["EvalDecision"] for result in of_role()] == ["implicitDeny"]


def test_wildcards_of_the_policies_count() -> None:
    (result,) = of_role(SourcePolicy("Access", "role", EVERYTHING))
    assert (result["EvalDecision"], result["EvalResourceName"]) == ("allowed", "*")
    assert result["MatchedStatements"][0]["SourcePolicyId"] == "Access"
    assert result["MatchedStatements"][0]["SourcePolicyType"] == "role"


def test_an_explicit_deny_names_the_denying_statements_only() -> None:
    result = result_of(EVERYTHING, NOTHING)
    assert result["EvalDecision"] == "explicitDeny"
    assert [found["SourcePolicyId"] for found in result["MatchedStatements"]] == ["PolicyInputList.2"]


def test_policies_of_the_request_are_added_to_those_of_the_principal() -> None:
    (result,) = of_role(SourcePolicy("Access", "role", EVERYTHING), PolicyInputList=[NOTHING])
    assert result["EvalDecision"] == "explicitDeny"


def test_every_action_is_simulated_on_every_resource() -> None:
    answer = custom(READ_DATA, actions=("s3:GetObject", "s3:PutObject"), ResourceArns=[OBJECT_ARN, "arn:aws:s3:::b/x"])
    found = [
        (one["EvalActionName"], one["EvalResourceName"], one["EvalDecision"]) for one in answer["EvaluationResults"]
    ]
    assert found == [
        ("s3:GetObject", OBJECT_ARN, "allowed"),
        ("s3:GetObject", "arn:aws:s3:::b/x", "implicitDeny"),
        ("s3:PutObject", OBJECT_ARN, "implicitDeny"),
        ("s3:PutObject", "arn:aws:s3:::b/x", "implicitDeny"),
    ]


def test_a_named_resource_has_its_details_in_resource_specific_results() -> None:
    text = policy(allow(Condition={"Bool": {"aws:SecureTransport": "true"}})).text
    result = result_of(text, ResourceArns=[OBJECT_ARN])
    assert "MissingContextValues" not in result
    (specific,) = result["ResourceSpecificResults"]
    assert specific == {
        "EvalResourceName": OBJECT_ARN,
        "EvalResourceDecision": "implicitDeny",
        "MatchedStatements": [],
        "MissingContextValues": ["aws:SecureTransport"],
    }


def test_missing_context_values_are_named_once() -> None:
    text = policy(allow(Resource="arn:aws:s3:::${aws:username}", Condition={"Null": {"aws:UserName": "true"}})).text
    assert result_of(text)["MissingContextValues"] == ["aws:username"]
    known = {"ContextKeyName": "aws:username", "ContextKeyValues": ["alice"], "ContextKeyType": "string"}
    assert result_of(text, ContextEntries=[known])["MissingContextValues"] == []


def test_a_list_of_context_values_stays_a_list() -> None:
    text = policy(allow(Condition={"ForAllValues:StringEquals": {"aws:TagKeys": ["env", "team"]}})).text
    entry = {"ContextKeyName": "aws:TagKeys", "ContextKeyValues": ["env", "owner"], "ContextKeyType": "stringList"}
    assert result_of(text, ContextEntries=[entry])["EvalDecision"] == "implicitDeny"
    assert result_of(text, ContextEntries=[{**entry, "ContextKeyValues": ["env"]}])["EvalDecision"] == "allowed"


@pytest.mark.parametrize(
    ("type_name", "value"),
    [("numeric", "ten"), ("boolean", "yes"), ("ip", "here"), ("date", "soon"), ("binary", "%"), ("text", "x")],
)
def test_context_values_must_be_of_their_type(type_name: str, value: str) -> None:
    entry = {"ContextKeyName": "aws:Key", "ContextKeyValues": [value], "ContextKeyType": type_name}
    with pytest.raises(ApiError, match=f"not of the type {type_name}"):
        custom(EVERYTHING, ContextEntries=[entry])


def test_a_boundary_limits_and_is_reported() -> None:
    result = result_of(EVERYTHING, PermissionsBoundaryPolicyInputList=[READ_DATA], ResourceArns=["arn:aws:s3:::b/x"])
    assert result["EvalDecision"] == "implicitDeny"
    assert result["PermissionsBoundaryDecisionDetail"] == {"AllowedByPermissionsBoundary": False}
    result = result_of(EVERYTHING, PermissionsBoundaryPolicyInputList=[READ_DATA], ResourceArns=[OBJECT_ARN])
    assert result["EvalDecision"] == "allowed"
    assert result["PermissionsBoundaryDecisionDetail"] == {"AllowedByPermissionsBoundary": True}


def test_the_boundary_of_the_request_replaces_that_of_the_principal() -> None:
    request = {"PolicySourceArn": ROLE, "ActionNames": ["s3:GetObject"], "PolicyInputList": [EVERYTHING]}
    own = SourcePolicy("Boundary", "user-managed", NOTHING)
    (result,) = simulate_principal_policy(request, (), own)["EvaluationResults"]
    assert result["EvalDecision"] == "explicitDeny"
    other = {**request, "PermissionsBoundaryPolicyInputList": [EVERYTHING]}
    (result,) = simulate_principal_policy(other, (), own)["EvaluationResults"]
    assert result["EvalDecision"] == "allowed"


def test_a_resource_policy_grants_to_the_caller() -> None:
    granting = policy(grant(USER.arn)).text
    result = result_of(policy(allow(Action="ecr:*")).text, ResourcePolicy=granting, CallerArn=USER.arn)
    assert result["EvalDecision"] == "allowed"
    assert [found["SourcePolicyType"] for found in result["MatchedStatements"]] == ["resource"]


def test_the_user_whose_policies_are_simulated_is_the_caller() -> None:
    request = {
        "PolicySourceArn": USER.arn,
        "ActionNames": ["s3:GetObject"],
        "ResourcePolicy": policy(grant(USER.arn)).text,
    }
    assert simulate_principal_policy(request, ())["EvaluationResults"][0]["EvalDecision"] == "allowed"


def test_the_owner_of_a_resource_is_in_its_arn_or_named_or_the_caller() -> None:
    granting = policy(grant(USER.arn)).text
    owned = {"ResourcePolicy": granting, "CallerArn": USER.arn, "ResourceArns": [OBJECT_ARN]}
    without = policy(allow(Action="ecr:*")).text
    assert result_of(without, **owned)["EvalDecision"] == "allowed"
    assert result_of(without, **owned, ResourceOwner=OTHER_ACCOUNT)["EvalDecision"] == "implicitDeny"
    repository = f"arn:aws:ecr:eu-west-1:{OTHER_ACCOUNT}:repository/a"
    elsewhere = {**owned, "ResourceArns": [repository]}
    assert result_of(READ_DATA, **elsewhere, actions=("ecr:PutImage",))["EvalDecision"] == "implicitDeny"


def test_without_a_resource_policy_the_account_of_the_resource_does_not_matter() -> None:
    repository = f"arn:aws:ecr:eu-west-1:{OTHER_ACCOUNT}:repository/a"
    assert result_of(EVERYTHING, ResourceArns=[repository])["EvalDecision"] == "allowed"


def test_an_answer_is_given_in_pages() -> None:
    actions = tuple(f"s3:Get{number}" for number in range(5))
    names, marker = [], None
    for truncated in (True, True, False):
        answer = custom(EVERYTHING, actions=actions, MaxItems=2, **({"Marker": marker} if marker else {}))
        names += [result["EvalActionName"] for result in answer["EvaluationResults"]]
        assert answer["IsTruncated"] is truncated
        marker = answer.get("Marker")
    assert tuple(names) == actions
    assert marker is None


def test_an_answer_has_at_most_a_hundred_results() -> None:
    answer = custom(EVERYTHING, actions=tuple(f"s3:Get{number}" for number in range(101)))
    assert (len(answer["EvaluationResults"]), answer["IsTruncated"]) == (100, True)


@pytest.mark.parametrize(
    ("members", "message"),
    [
        ({"ActionNames": ["s3:*"]}, "not the name of one action"),
        ({"ActionNames": ["GetObject"]}, "not the name of one action"),
        ({"PolicyInputList": ["{"]}, r"PolicyInputList\.1: The policy is not JSON"),
        ({"CallerArn": ROLE}, "CallerArn must be the ARN of an IAM user"),
        ({"ResourcePolicy": EVERYTHING}, "needs CallerArn"),
        ({"PermissionsBoundaryPolicyInputList": [EVERYTHING, EVERYTHING]}, "takes one policy only"),
        ({"Marker": "x"}, "Marker"),
        ({"Marker": "2"}, "Marker"),
        ({"ContextEntries": [{"ContextKeyValues": ["x"]}]}, "no ContextKeyName"),
    ],
)
def test_a_wrong_request_is_invalid_input(members: dict[str, Any], message: str) -> None:
    with pytest.raises(ApiError, match=message) as caught:
        simulate_custom_policy({"PolicyInputList": [EVERYTHING], "ActionNames": ["s3:GetObject"], **members})
    assert (caught.value.code, caught.value.status) == ("InvalidInput", 400)


def test_an_answer_can_be_written_as_json() -> None:
    assert json.loads(json.dumps(custom(READ_DATA)))["IsTruncated"] is False

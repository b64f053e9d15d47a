"""Which actions and resources a statement is about: one rule of IAM in each test."""

from stagemaker.access.evaluate import Policies
from tests.unit.plugin.access.questions import (
    ALLOWED,
    EXPLICIT_DENY,
    IMPLICIT_DENY,
    allow,
    ask,
    deny,
    outcome_of,
    policy,
)

TAGGED = {"aws:PrincipalTag/team": "vision"}
USERNAME = {"aws:username": "alice"}


def covers(pattern: str, arn: str, **context: str) -> bool:
    return outcome_of(allow(Resource=pattern), resource=arn, context=context) is ALLOWED


def test_without_a_policy_a_request_is_denied_implicitly() -> None:
    assert ask(Policies()).outcome is IMPLICIT_DENY


def test_a_deny_wins_over_an_allow_of_another_policy() -> None:
    policies = Policies(identity=(policy(allow()), policy(deny(Action="s3:GetObject"))))
    assert ask(policies).outcome is EXPLICIT_DENY


def test_every_statement_of_a_policy_counts() -> None:
    assert ask(Policies(identity=(policy(allow(Action="ecr:*"), allow(Action="s3:*")),))).outcome is ALLOWED
    assert ask(Policies(identity=(policy(allow(), deny()),))).outcome is EXPLICIT_DENY


def test_the_letter_case_of_an_action_does_not_count() -> None:
    assert outcome_of(allow(Action="S3:gETobject")) is ALLOWED


def test_a_question_mark_in_an_action_is_exactly_one_character() -> None:
    assert outcome_of(allow(Action="s3:Get?bject")) is ALLOWED
    assert outcome_of(allow(Action="s3:GetObject?")) is IMPLICIT_DENY
    assert outcome_of(allow(Action="s3:Get?Object")) is IMPLICIT_DENY


def test_a_star_in_an_action_is_any_characters_or_none() -> None:
    assert outcome_of(allow(Action="s3:Get*")) is ALLOWED
    assert outcome_of(allow(Action="s3:Get*Object")) is ALLOWED
    assert outcome_of(allow(Action="s3:*Objects")) is IMPLICIT_DENY


def test_not_action_is_every_other_action() -> None:
    assert outcome_of(allow(NotAction=["s3:Put*", "ecr:*"])) is ALLOWED
    assert outcome_of(allow(NotAction=["s3:Get*", "ecr:*"])) is IMPLICIT_DENY


def test_an_empty_action_is_no_action_and_an_empty_not_action_is_every_action() -> None:
    assert outcome_of(allow(Action=[])) is IMPLICIT_DENY
    assert outcome_of(allow(NotAction=[])) is ALLOWED


def test_the_letter_case_of_a_resource_counts() -> None:
    assert covers("arn:aws:s3:::data/a", "arn:aws:s3:::data/a")
    assert not covers("arn:aws:s3:::data/A", "arn:aws:s3:::data/a")


def test_a_star_in_a_resource_goes_on_beyond_slashes_and_colons() -> None:
    assert covers("arn:aws:s3:::data/*/train.csv", "arn:aws:s3:::data/home/alice/train.csv")
    assert covers("arn:aws:logs:*:1:log-group:a*", "arn:aws:logs:eu-west-1:1:log-group:a:log-stream:b")
    assert not covers("arn:aws:s3:::data/*", "arn:aws:s3:::data")


def test_a_question_mark_in_a_resource_is_exactly_one_character() -> None:
    assert covers("arn:aws:s3:::data/a?c", "arn:aws:s3:::data/abc")
    assert not covers("arn:aws:s3:::data/a?c", "arn:aws:s3:::data/ac")
    assert not covers("arn:aws:s3:::data/?*", "arn:aws:s3:::data/")
    assert covers("arn:aws:s3:::data/*b?d*", "arn:aws:s3:::data/a-b-abcd-e")
    assert not covers("arn:aws:s3:::data/*b?d*", "arn:aws:s3:::data/a-b-abce-d")


def test_a_pattern_does_not_use_a_character_twice() -> None:
    assert not covers("arn:aws:s3:::data/ab*ba", "arn:aws:s3:::data/aba")
    assert covers("arn:aws:s3:::data/a*b*a", "arn:aws:s3:::data/aba")


def test_a_wildcard_in_the_request_is_a_plain_character() -> None:
    assert not covers("arn:aws:s3:::data/abc", "arn:aws:s3:::data/*")
    assert covers("arn:aws:s3:::data/*", "arn:aws:s3:::data/*")


def test_an_arn_with_fewer_than_six_fields_means_any_value_of_the_others() -> None:
    arn = "arn:aws:sagemaker:eu-west-1:111122223333:endpoint/churn"
    assert covers("arn:aws:sagemaker", arn)
    assert covers("arn:aws:sagemaker:eu-west-1:*", arn)
    assert not covers("arn:aws:sagemaker:us-east-1", arn)
    assert outcome_of(allow(NotResource="arn:aws:ecr:*"), resource=arn) is ALLOWED


def test_an_empty_field_is_not_a_wildcard() -> None:
    arn = "arn:aws:sagemaker:eu-west-1:111122223333:endpoint/churn"
    assert not covers("arn:aws:sagemaker::111122223333:*", arn)


def test_not_resource_is_every_other_resource() -> None:
    assert outcome_of(allow(NotResource="arn:aws:s3:::other/*")) is ALLOWED
    assert outcome_of(allow(NotResource="arn:aws:s3:::data/*")) is IMPLICIT_DENY


def test_an_empty_resource_is_no_resource() -> None:
    assert outcome_of(allow(Resource=[])) is IMPLICIT_DENY


def test_an_action_without_a_resource_needs_the_star() -> None:
    assert covers("*", "*")
    assert not covers("arn:aws:s3:::*", "*")


def test_a_variable_takes_its_value_from_the_request() -> None:
    statement = allow(Resource="arn:aws:s3:::data/home/${AWS:UserName}/*")
    assert outcome_of(statement, context=USERNAME) is ALLOWED
    assert outcome_of(statement, context={"aws:username": "bob"}) is IMPLICIT_DENY


def test_a_variable_without_a_value_fits_nothing_not_even_the_empty_text() -> None:
    assert not covers("arn:aws:s3:::data/${aws:username}", "arn:aws:s3:::data/")
    assert not covers("arn:aws:s3:::data/${aws:username}*", "arn:aws:s3:::data/a")


def test_a_variable_without_a_value_makes_not_resource_invalid() -> None:
    """ "Any attempt to match it fails and causes the statement to be invalid": Variables and tags, IAM user guide."""
    assert outcome_of(allow(NotResource="arn:aws:s3:::data/${aws:username}")) is IMPLICIT_DENY
    assert outcome_of(allow(NotResource="arn:aws:s3:::other/${aws:username}")) is ALLOWED  # whatever the name is


def test_a_variable_has_a_default() -> None:
    pattern = "arn:aws:s3:::data/${aws:PrincipalTag/team, 'shared'}/x"
    assert covers(pattern, "arn:aws:s3:::data/shared/x")
    assert covers(pattern, "arn:aws:s3:::data/vision/x", **TAGGED)
    assert not covers(pattern, "arn:aws:s3:::data/shared/x", **TAGGED)


def test_wildcards_in_the_value_of_a_variable_are_plain_characters() -> None:
    statement = allow(Resource="arn:aws:s3:::data/${aws:PrincipalTag/team}/x")
    star = {"aws:PrincipalTag/team": "*"}
    assert outcome_of(statement, resource="arn:aws:s3:::data/vision/x", context=star) is IMPLICIT_DENY
    assert outcome_of(statement, resource="arn:aws:s3:::data/*/x", context=star) is ALLOWED


def test_a_key_with_several_values_is_no_variable() -> None:
    statement = allow(Resource="arn:aws:s3:::data/${aws:TagKeys}")
    assert outcome_of(statement, resource="arn:aws:s3:::data/env", context={"aws:TagKeys": ["env"]}) is IMPLICIT_DENY


def test_escaped_characters_are_plain() -> None:
    assert covers("arn:aws:s3:::data/a${*}b", "arn:aws:s3:::data/a*b")
    assert not covers("arn:aws:s3:::data/a${*}b", "arn:aws:s3:::data/axb")
    assert covers("arn:aws:s3:::data/a${?}b", "arn:aws:s3:::data/a?b")
    assert not covers("arn:aws:s3:::data/a${?}b", "arn:aws:s3:::data/axb")
    assert covers("arn:aws:s3:::data/${$}{aws:username}", "arn:aws:s3:::data/${aws:username}")


def test_variables_and_escapes_are_plain_text_in_the_old_version_and_without_one() -> None:
    for version in ("2008-10-17", None):
        statement = allow(Resource=["arn:aws:s3:::data/${aws:username}", "arn:aws:s3:::data/a${*}b"])
        assert outcome_of(statement, version, resource="arn:aws:s3:::data/alice", context=USERNAME) is IMPLICIT_DENY
        assert outcome_of(statement, version, resource="arn:aws:s3:::data/${aws:username}", context=USERNAME) is ALLOWED
        assert outcome_of(statement, version, resource="arn:aws:s3:::data/a${xyz}b") is ALLOWED


def test_a_variable_before_the_fifth_colon_is_not_replaced() -> None:
    """ "Only in the resource portion of the ARN": Variables and tags, IAM user guide."""
    arn = "arn:aws:sagemaker:eu-west-1:111122223333:endpoint/churn"
    statement = allow(Resource="arn:aws:sagemaker:${aws:RequestedRegion}:111122223333:endpoint/churn")
    assert outcome_of(statement, resource=arn, context={"aws:RequestedRegion": "eu-west-1"}) is IMPLICIT_DENY

"""Which images a lifecycle policy expires."""

import json
from typing import Any

import pytest

from stagemaker.registry.lifecycle_plan import Candidate, PolicyInvalid, expired, read_policy

DAY = 86_400.0
NOW = 100 * DAY
COUNT: dict[str, Any] = {"countType": "imageCountMoreThan", "countNumber": 1}
AGE: dict[str, Any] = {"countType": "sinceImagePushed", "countUnit": "days", "countNumber": 7}


def image(name: str, age_days: float, *tags: str) -> Candidate:
    return Candidate(name, tags, NOW - age_days * DAY)


def rule(priority: int = 1, **selection: Any) -> dict[str, Any]:
    return {"rulePriority": priority, "selection": selection, "action": {"type": "expire"}}


def gone(images: list[Candidate], *rules: dict[str, Any]) -> dict[str, int]:
    return expired(read_policy(json.dumps({"rules": list(rules)})), images, NOW)


def test_more_than_a_count_expires_the_oldest() -> None:
    images = [image("a", 3, "1"), image("b", 1), image("c", 2, "2")]
    assert gone(images, rule(tagStatus="any", **COUNT)) == {"a": 1, "c": 1}


def test_what_was_pushed_before_the_days_expires() -> None:
    images = [image("old", 7.01), image("young", 6.99), image("tagged", 30, "v1")]
    assert gone(images, rule(tagStatus="untagged", **AGE)) == {"old": 1}


def test_prefixes_must_all_be_among_the_tags() -> None:
    images = [image("both", 30, "prod-1", "eu-1"), image("one", 30, "prod-2"), image("none", 30)]
    assert gone(images, rule(tagStatus="tagged", tagPrefixList=["prod", "eu"], **AGE)) == {"both": 1}


def test_patterns_have_wildcards_and_fit_the_whole_tag() -> None:
    images = [image("a", 30, "prod-1-eu"), image("b", 30, "prod-1-us"), image("c", 30, "xprod-1-eu")]
    assert gone(images, rule(tagStatus="tagged", tagPatternList=["prod*eu"], **AGE)) == {"a": 1}


def test_an_image_that_a_higher_rule_counts_is_not_expired_by_a_lower_one() -> None:
    images = [image("new", 1, "prod-2"), image("old", 50, "prod-1"), image("other", 50, "dev-1")]
    first = rule(1, tagStatus="tagged", tagPrefixList=["prod"], countType="imageCountMoreThan", countNumber=2)
    assert gone(images, rule(2, tagStatus="any", **AGE), first) == {"other": 2}


def test_lower_rules_count_what_higher_ones_expire() -> None:
    images = [image("a", 1, "b-1"), image("b", 2, "b-2", "a-1"), image("c", 3, "b-3")]
    first = rule(
        1, tagStatus="tagged", tagPrefixList=["a"], countType="sinceImagePushed", countUnit="days", countNumber=1
    )
    second = rule(2, tagStatus="tagged", tagPrefixList=["b"], countType="imageCountMoreThan", countNumber=2)
    assert gone(images, first, second) == {"b": 1, "c": 2}


@pytest.mark.parametrize(
    ("policy", "message"),
    [
        ("no JSON", "it is not JSON"),
        ("[" * 30_000, "it is not JSON"),
        ([], "an object with a list 'rules'"),
        ({"rules": []}, "1 to 50 rules"),
        ({"rules": [rule(tagStatus="any", **COUNT)] * 2}, "same rulePriority"),
        ({"rules": [rule(1, tagStatus="any", **COUNT), rule(2, tagStatus="untagged", **AGE)]}, "highest rulePriority"),
        ({"rules": [rule(n, tagStatus="untagged", **AGE) for n in (1, 2)]}, "only one rule may have the tagStatus"),
        ({"rules": [rule(0, tagStatus="any", **COUNT)]}, r"rules\[0\].rulePriority must be a whole number above 0"),
        ({"rules": [rule(tagStatus="some", **COUNT)]}, "tagged, untagged or any"),
        ({"rules": [rule(tagStatus="tagged", **COUNT)]}, "tagPrefixList or tagPatternList just when"),
        ({"rules": [rule(tagStatus="any", tagPrefixList=["a"], **COUNT)]}, "just when"),
        ({"rules": [rule(tagStatus="tagged", tagPrefixList=[""], **COUNT)]}, "strings that are not empty"),
        ({"rules": [rule(tagStatus="tagged", tagPatternList=["a?"], **COUNT)]}, "no other wildcard"),
        ({"rules": [rule(tagStatus="any", **COUNT, countUnit="days")]}, "without a countUnit"),
        ({"rules": [rule(tagStatus="any", countType="sinceImagePushed", countNumber=1)]}, "with 'days'"),
        ({"rules": [rule(tagStatus="any", countType="imageCountMoreThan", countNumber=True)]}, "whole number above 0"),
        ({"rules": [rule(tagStatus="any", **COUNT, more=1)]}, "unknown key more"),
        ({"rules": [rule(tagStatus="any", **COUNT) | {"action": {"type": "transition"}}]}, "archiving is not"),
        ({"rules": [{"rulePriority": 1}]}, "must be an object with rulePriority, selection and action"),
    ],
)
def test_what_is_wrong_with_a_policy_is_said(policy: Any, message: str) -> None:
    with pytest.raises(PolicyInvalid, match=message):
        read_policy(policy if isinstance(policy, str) else json.dumps(policy))

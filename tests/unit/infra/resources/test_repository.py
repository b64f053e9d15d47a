import json
from typing import Any

from botocore.exceptions import ClientError

from infra.image_settings import ImageSettings
from infra.resources.logs import LogGroup
from infra.resources.repository import LAMBDA_STATEMENT, Repository, lifecycle_policy
from tests.unit.infra.fakes import FakeClient, missing

FOUND = {
    "repositoryArn": "arn",
    "repositoryUri": "localhost:5000/one",
    "imageTagMutability": "IMMUTABLE_WITH_EXCLUSION",
    "imageTagMutabilityExclusionFilters": [{"filterType": "WILDCARD", "filter": "latest"}],
    "imageScanningConfiguration": {"scanOnPush": True},
}


def client(found: dict[str, Any] = FOUND, policy: Any = None, **answers: Any) -> FakeClient:
    lifecycle = json.dumps(lifecycle_policy(ImageSettings()))
    given = {"policyText": json.dumps(policy)} if policy else missing("RepositoryPolicyNotFoundException")
    return FakeClient(
        {
            "describe_repositories": {"repositories": [found]},
            "get_lifecycle_policy": {"lifecyclePolicyText": lifecycle},
            "get_repository_policy": given,
            "list_tags_for_resource": {"tags": [{"Key": "theirs", "Value": "1"}]},
            **answers,
        }
    )


def changes(one: Repository) -> list[str]:
    state = one.read()
    assert state is not None
    return [change.member for change in one.diff(state)]


def test_none() -> None:
    gone = FakeClient({"describe_repositories": missing("RepositoryNotFoundException")})
    assert Repository(gone, "one").read() is None


def test_only_what_differs_is_put() -> None:
    fake = client({**FOUND, "imageTagMutability": "MUTABLE", "imageTagMutabilityExclusionFilters": []})
    one = Repository(fake, "one")
    state = one.read()
    assert state is not None
    one.update(state, one.diff(state))
    mutability = {name: FOUND[name] for name in FOUND if name.startswith("imageTagMutability")}
    assert fake.calls[4:] == [("put_image_tag_mutability", {"repositoryName": "one", **mutability})]
    assert one.uri() == "localhost:5000/one"


def test_a_repository_as_wanted_is_left_alone() -> None:
    assert changes(Repository(client(), "one", tags={"theirs": "1"})) == []


def test_images_without_a_tag_and_old_ones_expire() -> None:
    settings = ImageSettings(keep=3, untagged_days=2)
    assert changes(Repository(client(), "one", settings)) == ["lifecyclePolicy"]
    untagged, old = (rule["selection"] for rule in lifecycle_policy(settings)["rules"])
    assert untagged == {
        "tagStatus": "untagged",
        "countType": "sinceImagePushed",
        "countUnit": "days",
        "countNumber": 2,
    }
    assert old == {"tagStatus": "any", "countType": "imageCountMoreThan", "countNumber": 3}


def test_tags_are_added_and_those_of_others_stay() -> None:
    fake = client()
    one = Repository(fake, "one", tags={"team": "dogs"})
    state = one.read()
    assert state is not None
    one.update(state, one.diff(state))
    assert fake.calls[4:] == [("tag_resource", {"resourceArn": "arn", "tags": [{"Key": "team", "Value": "dogs"}]})]


def test_lambda_may_pull_and_other_statements_stay() -> None:
    other = {"Sid": "Other", "Effect": "Allow", "Principal": "*", "Action": "ecr:BatchGetImage"}
    fake = client(policy={"Version": "2012-10-17", "Statement": other})
    one = Repository(fake, "one", for_functions=True)
    state = one.read()
    assert state is not None
    one.update(state, one.diff(state))
    (name, request) = fake.calls[-1]
    assert name == "set_repository_policy"
    assert json.loads(request["policyText"])["Statement"] == [other, LAMBDA_STATEMENT]
    narrower = {**LAMBDA_STATEMENT, "Condition": {"StringLike": {"aws:SourceArn": "arn"}}}
    assert changes(Repository(client(policy={"Statement": [narrower]}), "one", for_functions=True)) == []


def test_one_that_another_command_makes_at_this_moment_is_taken() -> None:
    taken = ClientError({"Error": {"Code": "RepositoryAlreadyExistsException", "Message": ""}}, "CreateRepository")
    fake = client(create_repository=taken)
    Repository(fake, "one", ImageSettings(kms_key="alias/images", keep=3)).create()
    assert fake.calls[0][1]["encryptionConfiguration"] == {"encryptionType": "KMS", "kmsKey": "alias/images"}
    assert fake.names()[-1] == "put_lifecycle_policy"


def test_a_log_group_is_not_taken_for_one_whose_name_begins_alike() -> None:
    client = FakeClient({"describe_log_groups": {"logGroups": [{"logGroupName": "/aws/lambda/demo-2"}]}})
    assert LogGroup(client, "/aws/lambda/demo", "Log of the function").read() is None
    assert LogGroup(client, "/aws/lambda/demo-2", "Log of the function").read() is not None

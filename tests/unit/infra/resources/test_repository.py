from infra.resources.logs import LogGroup
from infra.resources.repository import Repository
from tests.unit.infra.fakes import FakeClient, missing

WANTED = {"imageTagMutability": "MUTABLE", "imageScanningConfiguration": {"scanOnPush": True}}


def test_none() -> None:
    client = FakeClient({"describe_repositories": missing("RepositoryNotFoundException")})
    assert Repository(client, "one", []).read() is None


def test_only_what_differs_is_put() -> None:
    found = {**WANTED, "imageTagMutability": "IMMUTABLE", "repositoryUri": "localhost:5000/one"}
    client = FakeClient({"describe_repositories": {"repositories": [found]}})
    one = Repository(client, "one", [])
    state = one.read()
    assert state is not None
    changes = one.diff(state)
    assert [str(change) for change in changes] == ["imageTagMutability: IMMUTABLE -> MUTABLE"]
    one.update(state, changes)
    assert client.calls[1:] == [
        ("put_image_tag_mutability", {"repositoryName": "one", "imageTagMutability": "MUTABLE"})
    ]
    assert one.uri() == "localhost:5000/one"


def test_a_log_group_is_not_taken_for_one_whose_name_begins_alike() -> None:
    client = FakeClient({"describe_log_groups": {"logGroups": [{"logGroupName": "/aws/lambda/demo-2"}]}})
    assert LogGroup(client, "/aws/lambda/demo", "Log of the function").read() is None
    assert LogGroup(client, "/aws/lambda/demo-2", "Log of the function").read() is not None

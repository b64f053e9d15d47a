import pytest
from botocore.exceptions import ClientError

from infra.errors import StepFailed
from infra.resources.bucket import Bucket
from tests.unit.infra.fakes import FakeClient, missing

CLOSED = dict.fromkeys(("BlockPublicAcls", "IgnorePublicAcls", "BlockPublicPolicy", "RestrictPublicBuckets"), True)


def bucket(region: str = "us-east-1", **answers: object) -> tuple[FakeClient, Bucket]:
    client = FakeClient(answers)
    return client, Bucket(client, "photos", region)


def test_none() -> None:
    _, one = bucket(list_objects_v2=missing("NoSuchBucket"))
    assert one.read() is None


def test_one_of_another_account() -> None:
    _, one = bucket(list_objects_v2=missing("AccessDenied"))
    with pytest.raises(StepFailed, match="belongs to someone else"):
        one.read()


def test_credentials_that_have_expired_are_not_taken_for_a_bucket_of_another_account() -> None:
    _, one = bucket(list_objects_v2=missing("ExpiredToken"))
    with pytest.raises(ClientError, match="ExpiredToken"):
        one.read()


def test_one_that_is_closed_to_the_public() -> None:
    _, one = bucket(get_public_access_block={"PublicAccessBlockConfiguration": CLOSED})
    state = one.read()
    assert state is not None
    assert one.diff(state) == []


def test_one_that_is_open_is_closed() -> None:
    client, one = bucket(get_public_access_block=missing("NoSuchPublicAccessBlockConfiguration"))
    state = one.read()
    assert state == {"tags": []}
    changes = one.diff(state)
    assert [change.member for change in changes] == list(CLOSED)
    one.update(state, changes)
    assert client.calls[-1][1]["PublicAccessBlockConfiguration"] == CLOSED


@pytest.mark.parametrize(
    ("region", "more"),
    [("us-east-1", {}), ("eu-west-1", {"CreateBucketConfiguration": {"LocationConstraint": "eu-west-1"}})],
)
def test_a_new_one_is_closed_and_in_its_region(region: str, more: dict[str, object]) -> None:
    client, one = bucket(region)
    one.create()
    assert client.calls[0] == ("create_bucket", {"Bucket": "photos", **more})
    assert client.names()[1:] == ["put_public_access_block"]


def test_it_is_emptied_before_it_is_deleted() -> None:
    listed = {"Contents": [{"Key": "data/a.png", "Size": 1}, {"Key": "models/b", "Size": 2}]}
    client, one = bucket(list_objects_v2=listed)
    one.delete()
    assert client.names() == ["list_objects_v2", "delete_objects", "delete_bucket"]
    assert client.calls[1][1]["Delete"]["Objects"] == [{"Key": "data/a.png"}, {"Key": "models/b"}]
